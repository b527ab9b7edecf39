import { createHash } from 'node:crypto';
import { type EntityManager } from 'typeorm';
import {
  CURRENT_STATES,
  type MismatchCount,
  type MismatchDetails,
  type MismatchFilter,
  type MismatchPage,
  type MismatchRecord,
  type MismatchState,
  MismatchStore,
  type NewMismatch,
  type StateChange,
} from '#verification';
import { MismatchEntity } from './entities/mismatch.entity.ts';
import { type StateDatabase } from './state-database.ts';
import { type WriteResult } from './state-fencing.ts';

/** Of one transaction: details may be wide. */
const MOST_AT_ONCE = 50;
const MOST_HASHES = 1000;
const ENDED_STATES: readonly MismatchState[] = ['repaired', 'gone'];

export class StateMismatchStore extends MismatchStore {
  readonly #database: StateDatabase;
  readonly #nowMs: () => number;

  constructor(database: StateDatabase, nowMs: () => number = Date.now) {
    super();
    this.#database = database;
    this.#nowMs = nowMs;
  }

  async record(found: readonly NewMismatch[]): Promise<readonly NewMismatch[]> {
    const hashed = found.map((mismatch) => ({ mismatch, hash: hashOf(mismatch) }));
    // two workers that record the same keys lock them in one order
    hashed.sort((a, b) => Buffer.compare(a.hash, b.hash));
    const added = new Set<NewMismatch>();
    for (let at = 0; at < hashed.length; at += MOST_AT_ONCE) {
      const part = hashed.slice(at, at + MOST_AT_ONCE);
      const isNew = await this.#database.transaction(async (manager) => {
        const results: boolean[] = [];
        for (const { mismatch, hash } of part) results.push(await this.#recordOne(manager, mismatch, hash));
        return results;
      });
      part.forEach(({ mismatch }, i) => isNew[i] === true && added.add(mismatch));
    }
    return found.filter((mismatch) => added.has(mismatch));
  }

  async countIgnored(found: readonly NewMismatch[]): Promise<number> {
    let count = 0;
    for (let at = 0; at < found.length; at += MOST_HASHES) {
      const hashes = found.slice(at, at + MOST_HASHES).map(hashOf);
      const [row] = await this.#database.run((manager) =>
        manager.query<{ readonly ignored: unknown }[]>(
          "SELECT COUNT(*) AS ignored FROM mismatches WHERE current_hash IN (?) AND state = 'ignored'",
          [hashes],
        ),
      );
      count += Number(row?.ignored);
    }
    return count;
  }

  async find(id: string): Promise<MismatchRecord | null> {
    if (!/^\d{1,19}$/.test(id)) return null;
    const row = await this.#database.run((manager) => manager.findOneBy(MismatchEntity, { id }));
    return row && toRecord(row);
  }

  async list(filter: MismatchFilter, { after, limit }: MismatchPage): Promise<readonly MismatchRecord[]> {
    const { source, database, table, key, sink, kind, exceptKind, states, runId, seenBeforeMs } = filter;
    const rows = await this.#database.run((manager) => {
      const query = manager.createQueryBuilder(MismatchEntity, 'm').orderBy('m.id', 'ASC').limit(limit);
      if (source !== undefined) query.andWhere('m.source = :source', { source });
      if (database !== undefined) query.andWhere('m.database = :database', { database });
      if (table !== undefined) query.andWhere('m.table = :table', { table });
      if (key !== undefined) query.andWhere('m.key = :key', { key });
      if (sink !== undefined) query.andWhere('m.sink = :sink', { sink });
      if (kind !== undefined) query.andWhere('m.kind = :kind', { kind });
      if (exceptKind !== undefined) query.andWhere('m.kind <> :exceptKind', { exceptKind });
      if (states !== undefined) query.andWhere('m.state IN (:...states)', { states: [...states, ''] });
      if (runId !== undefined) query.andWhere('m.runId = :runId', { runId });
      if (seenBeforeMs !== undefined) query.andWhere('m.lastSeenMs < :seenBeforeMs', { seenBeforeMs });
      if (after !== null) query.andWhere('m.id > :after', { after });
      return query.getMany();
    });
    return rows.map(toRecord);
  }

  async changeState(id: string, from: readonly MismatchState[], { to, reason, actor }: StateChange): Promise<boolean> {
    const isCurrent = CURRENT_STATES.includes(to);
    // one that ended has no place in the index of the current ones; another may have taken it
    const accepted = isCurrent ? from.filter((state) => CURRENT_STATES.includes(state)) : from;
    return this.#database.transaction(async (manager) => {
      const changed = await manager.query<WriteResult>(
        `UPDATE mismatches SET state = ?, reason = ?, actor = ?, changed_at_ms = ?, current_hash = IF(?, current_hash, NULL)
         WHERE id = ? AND state IN (?)`,
        [
          ...[to, reason?.slice(0, 512) ?? null, actor?.slice(0, 255) ?? null, this.#nowMs(), isCurrent],
          ...[id, [...accepted, '']],
        ],
      );
      return changed.affectedRows > 0;
    });
  }

  async count(): Promise<readonly MismatchCount[]> {
    const rows = await this.#database.run((manager) =>
      manager
        .createQueryBuilder(MismatchEntity, 'm')
        .select(['m.source AS source', 'm.sink AS sink', 'm.kind AS kind', 'm.state AS state', 'COUNT(*) AS count'])
        .where('m.state IN (:...states)', { states: CURRENT_STATES })
        .groupBy('m.source, m.sink, m.kind, m.state')
        .getRawMany<Omit<MismatchCount, 'count'> & { readonly count: string | number }>(),
    );
    return rows.map(({ count, ...of }) => ({ ...of, count: Number(count) }));
  }

  async sweep(beforeMs: number, most: number): Promise<number> {
    return this.#database.transaction(async (manager) => {
      const swept = await manager.query<WriteResult>(
        'DELETE FROM mismatches WHERE state IN (?) AND changed_at_ms < ? LIMIT ?',
        [ENDED_STATES, beforeMs, most],
      );
      return swept.affectedRows;
    });
  }

  async #recordOne(manager: EntityManager, mismatch: NewMismatch, hash: Buffer): Promise<boolean> {
    const { source, database, table, sink, key, isKey, kind, details, runId, seenAtMs } = mismatch;
    const json = JSON.stringify(details, toWellFormed);
    // an update always changes the row, so that it counts 2 and an insert 1
    const { affectedRows } = await manager.query<WriteResult>(
      `INSERT INTO mismatches
         (source, database_name, table_name, sink, key_text, is_key, current_hash, kind, details, state, run_id,
          first_seen_ms, last_seen_ms, times_seen, changed_at_ms)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'open', ?, ?, ?, 1, ?)
       ON DUPLICATE KEY UPDATE times_seen = times_seen + (NOT (run_id <=> COALESCE(?, run_id))),
         run_id = COALESCE(?, run_id), kind = ?, details = ?,
         last_seen_ms = GREATEST(last_seen_ms + 1, ?)`,
      [
        ...[source, database, table, sink, key, isKey, hash, kind, json, runId, seenAtMs, seenAtMs, this.#nowMs()],
        ...[runId, runId, kind, json, seenAtMs],
      ],
    );
    return affectedRows === 1;
  }
}

/** MySQL refuses a JSON document with half of a surrogate pair. */
function toWellFormed(_: string, value: unknown): unknown {
  return typeof value === 'string' ? value.toWellFormed() : value;
}

/** JSON keeps names apart that hold each other's separators. */
function hashOf({ source, database, table, sink, key, isKey }: NewMismatch): Buffer {
  return createHash('sha256')
    .update(JSON.stringify([source, database, table, sink, isKey, key]))
    .digest();
}

function toRecord(row: MismatchEntity): MismatchRecord {
  const { id, source, database, table, sink, key, isKey, kind, details, state, reason, actor, runId } = row;
  const { firstSeenMs, lastSeenMs, timesSeen, changedAtMs } = row;
  return {
    ...{ id: String(id), source, database, table, sink, key, isKey, kind, state, reason, actor, runId },
    // records from before the second way say nothing of it
    details: { ...details, way: (details as Partial<MismatchDetails>).way ?? 'first' },
    ...{ firstSeenMs, lastSeenMs, timesSeen, changedAtMs },
  };
}
