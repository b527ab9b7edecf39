import { createHash } from 'node:crypto';
import {
  createReadIdTaken,
  type Grant,
  type ListedRead,
  type NewRead,
  type NextRead,
  type ReadListing,
  type ReadProgress,
  type ReadScope,
  type RequestedRead,
  RequestedReadStore,
} from '#replication';
import { RequestedReadEntity } from './entities/requested-read.entity.ts';
import { type StateDatabase } from './state-database.ts';
import { guardGrant, type WriteResult } from './state-fencing.ts';

/** Keys can be a mebibyte, and records of ended reads stay. */
const CUT_SCOPE = `scope = IF(scope_kind = 'keys', JSON_OBJECT('kind', 'keys', 'keys', JSON_ARRAY()), scope)`;
const LISTED: readonly (keyof RequestedReadEntity)[] = [
  'scopeKind',
  ...(['id', 'source', 'database', 'table', 'reason', 'actor', 'acceptedAtMs', 'startedAtMs', 'endedAtMs'] as const),
  ...(['keyCount', 'state', 'counts', 'confirmedKeys', 'place', 'estimatedRows', 'error'] as const),
];
const NOTHING_READ = { read: 0, emitted: 0, gone: 0 };

export class StateRequestedReadStore extends RequestedReadStore {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    super();
    this.#database = database;
  }

  async accept({ id, source, database, table, scope, reason, actor, acceptedAtMs }: NewRead): Promise<void> {
    const keys = scope.kind === 'keys' ? scope.keys : null;
    const scopeHash = createHash('sha256')
      .update(JSON.stringify([database, table, scope.kind, keys, ...selectionOf(scope)]))
      .digest();
    await this.#database.transaction(async (manager) => {
      await manager.query(
        `INSERT INTO requested_reads
           (id, source, database_name, table_name, scope, scope_kind, scope_hash, key_count, reason, actor, state, is_open,
            counts, confirmed_keys, accepted_at_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'accepted', TRUE, ?, 0, ?) ON DUPLICATE KEY UPDATE id = id`,
        [
          id,
          source,
          database,
          table,
          JSON.stringify(scope),
          scope.kind,
          scopeHash,
          keys?.length ?? null,
          reason.slice(0, 512),
          actor.slice(0, 255),
          JSON.stringify(NOTHING_READ),
          acceptedAtMs,
        ],
      );
      const same = await manager.query<unknown[]>(
        'SELECT id FROM requested_reads WHERE id = ? AND source = ? AND scope_hash = ? FOR UPDATE',
        [id, source, scopeHash],
      );
      if (same.length === 0) throw createReadIdTaken(id);
    });
  }

  async find(id: string): Promise<RequestedRead | null> {
    const row = await this.#database.run((manager) => manager.findOneBy(RequestedReadEntity, { id }));
    return row && toRead(row);
  }

  async listNext(source: string): Promise<readonly NextRead[]> {
    return this.#database.run((manager) =>
      manager.query<NextRead[]>(
        `SELECT id, database_name AS \`database\`, table_name AS \`table\`, scope_kind AS kind
         FROM (
           SELECT id, database_name, table_name, scope_kind, accepted_at_ms, ROW_NUMBER() OVER (
             PARTITION BY database_name, table_name, scope_kind ORDER BY accepted_at_ms, id
           ) AS place
           FROM requested_reads WHERE source = ? AND is_open
         ) AS numbered
         WHERE place = 1 ORDER BY accepted_at_ms, id`,
        [source],
      ),
    );
  }

  async list(source: string, { onlyOpen, before, limit, ofRow }: ReadListing): Promise<readonly ListedRead[]> {
    return this.#database.run(async (manager) => {
      const query = manager
        .createQueryBuilder(RequestedReadEntity, 'r')
        .select(LISTED.map((name) => `r.${name}`))
        .where('r.source = :source', { source })
        .orderBy('r.acceptedAtMs', 'DESC')
        .addOrderBy('r.id', 'DESC')
        .take(limit);
      if (onlyOpen) query.andWhere('r.isOpen');
      if (ofRow !== undefined)
        query.andWhere(
          `(r.scopeKind = 'source' OR r.database = :database AND r.table = :table
            AND (r.scopeKind = 'table' OR JSON_CONTAINS(r.scope, JSON_QUOTE(:key), '$.keys')))`,
          ofRow,
        );
      if (before !== null) {
        const last = await manager.findOne(RequestedReadEntity, {
          select: { acceptedAtMs: true },
          where: { id: before },
        });
        if (last === null) return [];
        // two conditions: a comparison of pairs would not be read as a range
        query
          .andWhere('r.acceptedAtMs <= :at', { at: last.acceptedAtMs })
          .andWhere('(r.acceptedAtMs < :at OR r.id < :before)', { before });
      }
      return (await query.getMany()).map(toListedRead);
    });
  }

  async save(grant: Grant, id: string, progress: ReadProgress): Promise<boolean> {
    const { state, counts, confirmedKeys, place, estimatedRows, error } = progress;
    const isOpen = state === 'accepted' || state === 'running';
    const now = Date.now();
    return this.#database.transaction(async (manager) => {
      await guardGrant(manager, grant);
      const saved = await manager.query<WriteResult>(
        `UPDATE requested_reads SET state = ?, is_open = ?, counts = ?, confirmed_keys = ?, place = ?,
           estimated_rows = ?, error = ?,
           started_at_ms = COALESCE(started_at_ms, ?), ended_at_ms = ?${isOpen ? '' : `, ${CUT_SCOPE}`}
         WHERE id = ? AND source = ? AND is_open`,
        [
          state,
          isOpen,
          JSON.stringify(counts),
          confirmedKeys,
          place && JSON.stringify(place),
          estimatedRows,
          error && JSON.stringify(error),
          now,
          isOpen ? null : now,
          id,
          grant.source,
        ],
      );
      return saved.affectedRows > 0;
    });
  }

  async cancel(id: string): Promise<boolean> {
    return this.#database.transaction(async (manager) => {
      const cancelled = await manager.query<WriteResult>(
        `UPDATE requested_reads SET state = 'cancelled', is_open = FALSE, ended_at_ms = ?, ${CUT_SCOPE} WHERE id = ? AND is_open`,
        [Date.now(), id],
      );
      return cancelled.affectedRows > 0;
    });
  }
}

/** Nothing for a scope of keys or tables: their hashes stay what they were before there were others. */
function selectionOf(scope: ReadScope): readonly unknown[] {
  if (scope.kind === 'range') return [scope.from, scope.to];
  return scope.kind === 'filter' ? [scope.where.map(({ column, op, value = null }) => [column, op, value])] : [];
}

function toRead(row: RequestedReadEntity): RequestedRead {
  return { ...toCommon(row), scope: row.scope };
}

function toListedRead(row: Omit<RequestedReadEntity, 'scope'>): ListedRead {
  return { ...toCommon(row), kind: row.scopeKind };
}

function toCommon(row: Omit<RequestedReadEntity, 'scope'>): Omit<ListedRead, 'kind'> {
  const { id, source, database, table, reason, actor, acceptedAtMs, startedAtMs, endedAtMs } = row;
  const { keyCount, state, counts, confirmedKeys, place, estimatedRows, error } = row;
  return {
    ...{ id, source, database, table, reason, actor, acceptedAtMs, startedAtMs, endedAtMs },
    ...{ keyCount, state, counts, confirmedKeys, place, estimatedRows, error },
  };
}
