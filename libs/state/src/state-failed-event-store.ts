import { createHash } from 'node:crypto';
import { type EntityManager, type SelectQueryBuilder } from 'typeorm';
import { type TableName } from '#change-events';
import {
  type FailedEvent,
  type FailedEventCount,
  type FailedEventFilter,
  type FailedEventState,
  FailedEventStore,
  type Grant,
  isRead,
  type ListedFailedEvent,
  type NewFailedEvent,
  type QuarantineChanges,
  type QuarantinedKey,
  type StoredQuarantinedKey,
} from '#replication';
import { FailedEventEntity } from './entities/failed-event.entity.ts';
import { type StateDatabase } from './state-database.ts';
import { guardGrant, type WriteResult } from './state-fencing.ts';

const QUARANTINED = ['open', 'discarded'] as const;
const MOST_MESSAGE = 4096;
const MOST_HASHES = 1000;
const RECENT_MS = 3_600_000;
const ACTOR = 'dss';
const LISTED: readonly (keyof FailedEventEntity)[] = [
  ...(['id', 'source', 'sink', 'database', 'table', 'key', 'state', 'code', 'message', 'changeId', 'version'] as const),
  ...(['gtid', 'file', 'offset', 'attempts', 'laterChanges', 'firstFailedMs', 'lastFailedMs', 'lastChangeMs'] as const),
  ...(['nextRetryMs', 'readId', 'reason', 'actor', 'endedAtMs'] as const),
];

interface KnownEvent {
  readonly state: FailedEventState;
  readonly version: string;
  readonly changeId: string;
  readonly first: string;
  readonly endedAt: unknown;
}

export class StateFailedEventStore extends FailedEventStore {
  readonly #database: StateDatabase;
  readonly #nowMs: () => number;

  constructor(database: StateDatabase, nowMs: () => number = Date.now) {
    super();
    this.#database = database;
    this.#nowMs = nowMs;
  }

  async load(source: string, only?: 'open' | 'discarded'): Promise<readonly StoredQuarantinedKey[]> {
    const rows = await this.#database.run((manager) =>
      manager
        .createQueryBuilder(FailedEventEntity, 'f')
        .select(['f.id', 'f.sink', 'f.database', 'f.table', 'f.key', 'f.state', 'f.version', 'f.changeId'])
        .where('f.source = :source AND f.state IN (:...states)', {
          source,
          states: only === undefined ? [...QUARANTINED] : [only],
        })
        .getMany(),
    );
    return rows.map(({ sink, database, table, key, state, version, changeId }) => {
      return { sink, database, table, key, version, changeId, isDiscarded: state === 'discarded' };
    });
  }

  async record(grant: Grant, event: NewFailedEvent, nextRetryMs: number): Promise<boolean> {
    const { sink, table, key, code, message, id, version, gtid, file, offset, payload, lackingSince = version } = event;
    const hash = hashOf(grant.source, sink, { ...table, key });
    const now = this.#nowMs();
    const changeId = id.slice(0, 512);
    const refused = [
      ...[code.slice(0, 64), message.slice(0, MOST_MESSAGE), changeId, version, gtid, file, offset],
      ...[payload?.text.toWellFormed() ?? null, payload?.bytes ?? null],
    ];
    return this.#database.transaction(async (manager) => {
      await guardGrant(manager, grant);
      const [known] = await manager.query<KnownEvent[]>(
        `SELECT state, version, change_id AS changeId, first_version AS first, ended_at_ms AS endedAt FROM failed_events
         WHERE key_hash = ? FOR UPDATE`,
        [hash],
      );
      if (known?.state === 'discarded')
        if (version <= known.version || changeId === known.changeId || isRead(version)) return false;
      if (known?.state === 'open')
        await manager.query(
          `UPDATE failed_events SET code = ?, message = ?, change_id = ?, version = ?, gtid = ?, log_file = ?,
             log_offset = ?, payload = ?, payload_bytes = ?, last_failed_ms = ?
           WHERE key_hash = ?`,
          [...refused, now, hash],
        );
      else {
        // what looks for messages of the last minutes must not miss those that it lacks since then
        const isRecent = known !== undefined && now - Number(known.endedAt ?? now) < RECENT_MS;
        const first = isRecent && known.first < lackingSince ? known.first : lackingSince;
        if (known !== undefined) await manager.query('DELETE FROM failed_events WHERE key_hash = ?', [hash]);
        await manager.query(
          `INSERT INTO failed_events (source, sink, database_name, table_name, key_text, key_hash, state,
             code, message, change_id, version, gtid, log_file, log_offset, payload, payload_bytes,
             attempts, later_changes, first_version, first_failed_ms, last_failed_ms, next_retry_ms)
           VALUES (?, ?, ?, ?, ?, ?, 'open', ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 0, ?, ?, ?, ?)`,
          [grant.source, sink, table.database, table.table, key, hash, ...refused, first, now, now, nextRetryMs],
        );
        await recordDecision(manager, 'quarantine.enter', grant.source, { sink, ...table, key, code, version }, now);
      }
      return true;
    });
  }

  async settle(grant: Grant, { held, delivered, endedTables }: QuarantineChanges): Promise<void> {
    const { source } = grant;
    const now = this.#nowMs();
    await this.#database.transaction(async (manager) => {
      await guardGrant(manager, grant);
      for (const { sink, count, lastMs, ...key } of held)
        await manager.query(
          'UPDATE failed_events SET later_changes = later_changes + ?, last_change_ms = ? WHERE key_hash = ?',
          [count, lastMs, hashOf(source, sink, key)],
        );
      for (const { sink, version, ...key } of delivered) {
        const left = await manager.query<WriteResult>(
          `UPDATE failed_events SET state = 'delivered', end_version = ?, ended_at_ms = ?, next_retry_ms = NULL
           WHERE key_hash = ? AND state IN (?) AND version <= ?`,
          [version, now, hashOf(source, sink, key), QUARANTINED, version],
        );
        if (left.affectedRows > 0)
          await recordDecision(manager, 'quarantine.leave', source, { sink, ...key, version }, now);
      }
      for (const { sink, database, table, version } of endedTables) {
        const left = await manager.query<WriteResult>(
          `UPDATE failed_events SET state = 'ended', end_version = ?, ended_at_ms = ?, next_retry_ms = NULL
           WHERE source = ? AND sink = ? AND database_name = ? AND table_name = ? AND state IN (?)`,
          [version, now, source, sink, database, table, QUARANTINED],
        );
        if (left.affectedRows > 0) {
          const details = { sink, database, table, rows: left.affectedRows };
          await recordDecision(manager, 'quarantine.end', source, details, now);
        }
      }
    });
  }

  async find(id: string): Promise<FailedEvent | null> {
    if (!/^\d{1,19}$/.test(id)) return null;
    const row = await this.#database.run((manager) => manager.findOneBy(FailedEventEntity, { id }));
    if (row === null) return null;
    const { payload, payloadBytes } = row;
    return {
      ...toListed(row),
      payload: payload === null || payloadBytes === null ? null : { text: payload, bytes: payloadBytes },
    };
  }

  async list(
    filter: FailedEventFilter,
    { after, limit }: { readonly after: string | null; readonly limit: number },
  ): Promise<readonly ListedFailedEvent[]> {
    const { source, database, table, sink, code, key, states } = filter;
    return this.#select((query) => {
      query.orderBy('f.id', 'ASC').limit(limit);
      for (const [name, value] of Object.entries({ source, database, table, sink, code, key }))
        if (value !== undefined) query.andWhere(`f.${name} = :${name}`, { [name]: value });
      if (states !== undefined) query.andWhere('f.state IN (:...states)', { states: [...states, ''] });
      if (after !== null) query.andWhere('f.id > :after', { after });
    });
  }

  async findQuarantined(
    source: string,
    sink: string,
    table: TableName,
    keys: readonly string[],
  ): Promise<readonly string[]> {
    const { database, table: name } = table;
    const found: string[] = [];
    for (let at = 0; at < keys.length; at += MOST_HASHES) {
      const hashes = keys
        .slice(at, at + MOST_HASHES)
        .map((key) => hashOf(source, sink, { database, table: name, key }));
      const rows = await this.#database.run((manager) =>
        manager.query<{ readonly key: string }[]>(
          'SELECT key_text AS `key` FROM failed_events WHERE key_hash IN (?) AND state IN (?)',
          [hashes, QUARANTINED],
        ),
      );
      found.push(...rows.map(({ key }) => key));
    }
    return found;
  }

  async findLacking(
    source: string,
    sink: string,
    { database, table }: TableName,
    changes: readonly { readonly key: string; readonly version: string }[],
  ): Promise<readonly boolean[]> {
    const lacking: boolean[] = [];
    for (let at = 0; at < changes.length; at += MOST_HASHES) {
      const part = changes.slice(at, at + MOST_HASHES);
      const rows = await this.#database.run((manager) =>
        manager.query<{ readonly key: string; readonly first: string; readonly end: string | null }[]>(
          'SELECT key_text AS `key`, first_version AS first, end_version AS end FROM failed_events WHERE key_hash IN (?)',
          [part.map(({ key }) => hashOf(source, sink, { database, table, key }))],
        ),
      );
      const spans = new Map(rows.map((row) => [row.key, row]));
      for (const { key, version } of part) {
        const span = spans.get(key);
        const isIn = (of: { readonly first: string; readonly end: string | null }): boolean =>
          version >= of.first && (of.end === null || version < of.end);
        lacking.push(span !== undefined && isIn(span));
      }
    }
    return lacking;
  }

  async listDue(source: string, nowMs: number, most: number): Promise<readonly ListedFailedEvent[]> {
    return this.#select((query) =>
      query
        .where("f.source = :source AND f.state = 'open' AND f.nextRetryMs <= :nowMs", { source, nowMs })
        // those of a read that rests would fill the page at every turn
        .andWhere('NOT EXISTS (SELECT 1 FROM requested_reads r WHERE r.id = f.readId AND r.is_open)')
        .orderBy('f.nextRetryMs', 'ASC')
        .limit(most),
    );
  }

  async retried(
    ids: readonly string[],
    readId: string,
    nowMs: number,
    { initialMs, maxMs }: { readonly initialMs: number; readonly maxMs: number },
  ): Promise<void> {
    await this.#database.transaction((manager) =>
      manager.query(
        `UPDATE failed_events SET read_id = ?, next_retry_ms = IF(state = 'open', ? + LEAST(?, ? * POW(2, LEAST(attempts, 30))), NULL),
           attempts = attempts + 1
         WHERE id IN (?) AND state IN (?)`,
        [readId, nowMs, maxMs, initialMs, ids, QUARANTINED],
      ),
    );
  }

  async discard(id: string, reason: string, actor: string): Promise<boolean> {
    return this.#database.transaction(async (manager) => {
      const discarded = await manager.query<WriteResult>(
        `UPDATE failed_events SET state = 'discarded', reason = ?, actor = ?, next_retry_ms = NULL
         WHERE id = ? AND state = 'open'`,
        [reason.slice(0, 512), actor.slice(0, 255), id],
      );
      return discarded.affectedRows > 0;
    });
  }

  async count(): Promise<readonly FailedEventCount[]> {
    const rows = await this.#database.run((manager) =>
      manager.query<(Omit<FailedEventCount, 'count'> & { readonly count: unknown })[]>(
        `SELECT source, sink, database_name AS \`database\`, table_name AS \`table\`, state, COUNT(*) AS count
         FROM failed_events WHERE state IN (?) GROUP BY source, sink, database_name, table_name, state`,
        [QUARANTINED],
      ),
    );
    return rows.map(({ count, ...of }) => ({ ...of, count: Number(count) }));
  }

  async #select(
    choose: (query: SelectQueryBuilder<FailedEventEntity>) => unknown,
  ): Promise<readonly ListedFailedEvent[]> {
    const rows = await this.#database.run((manager) => {
      const query = manager.createQueryBuilder(FailedEventEntity, 'f').select(LISTED.map((name) => `f.${name}`));
      choose(query);
      return query.getMany();
    });
    return rows.map(toListed);
  }
}

async function recordDecision(
  manager: EntityManager,
  action: string,
  source: string,
  details: object,
  now: number,
): Promise<void> {
  await manager.query(
    'INSERT INTO audit_log (at_ms, last_at_ms, actor, action, subject, details) VALUES (?, ?, ?, ?, ?, ?)',
    [now, now, ACTOR, action, source, JSON.stringify(details, toWellFormed)],
  );
}

/** MySQL refuses a JSON document with half of a surrogate pair. */
function toWellFormed(_: string, value: unknown): unknown {
  return typeof value === 'string' ? value.toWellFormed() : value;
}

/** JSON keeps names apart that hold each other's separators. */
function hashOf(source: string, sink: string, { database, table, key }: QuarantinedKey): Buffer {
  return createHash('sha256')
    .update(JSON.stringify([source, sink, database, table, key]))
    .digest();
}

function toListed(row: Omit<FailedEventEntity, 'keyHash' | 'payload' | 'payloadBytes'>): ListedFailedEvent {
  const { id, source, sink, database, table, key, state, code, message, changeId, version, gtid, file, offset } = row;
  const { attempts, laterChanges, firstFailedMs, lastFailedMs, lastChangeMs, nextRetryMs, readId } = row;
  const { reason, actor, endedAtMs } = row;
  return {
    ...{ id: String(id), source, sink, database, table, key, state, code, message, changeId, version, gtid, file },
    ...{ offset, attempts, laterChanges, firstFailedMs, lastFailedMs, lastChangeMs, nextRetryMs, readId },
    ...{ reason, actor, endedAtMs },
  };
}
