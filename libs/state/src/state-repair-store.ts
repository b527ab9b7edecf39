import { In, IsNull, MoreThan, type FindOptionsWhere } from 'typeorm';
import { type TableName } from '#change-events';
import {
  type HeldRepairs,
  type MismatchRecord,
  type OpenTable,
  POLICY_ACTOR,
  type RepairBreaker,
  type RepairChange,
  type RepairFilter,
  type RepairPage,
  type RepairRecord,
  type RepairState,
  RepairStore,
} from '#verification';
import { RepairBreakerEntity } from './entities/repair-breaker.entity.ts';
import { RepairEntity } from './entities/repair.entity.ts';
import { type StateDatabase } from './state-database.ts';
import { type WriteResult } from './state-fencing.ts';

/** Rows of one statement: what was seen may be wide. */
const MOST_AT_ONCE = 50;
const IDS_AT_ONCE = 1000;
const ENDED: readonly RepairState[] = ['repaired', 'given up'];

export class StateRepairStore extends RepairStore {
  readonly #database: StateDatabase;
  readonly #nowMs: () => number;

  constructor(database: StateDatabase, nowMs: () => number = Date.now) {
    super();
    this.#database = database;
    this.#nowMs = nowMs;
  }

  async plan(mismatches: readonly MismatchRecord[], actor: string, nowMs: number): Promise<void> {
    // two workers that plan the same lock them in one order
    const sorted = mismatches.toSorted((a, b) => Number(BigInt(a.id) - BigInt(b.id)));
    for (const part of slices(sorted, MOST_AT_ONCE))
      await this.#database.transaction((manager) =>
        manager.query(
          `INSERT INTO repairs
             (source, database_name, table_name, sink, key_text, is_key, mismatch_id, under_way, kind, state, attempts,
              seen_before, actor, planned_at_ms, next_at_ms)
           VALUES ${part.map(() => "(?, ?, ?, ?, ?, ?, ?, ?, ?, 'planned', 0, ?, ?, ?, ?)").join(', ')}
           ON DUPLICATE KEY UPDATE actor = IF(state IN ('planned', 'failed') AND VALUES(actor) <> ?, VALUES(actor), actor)`,
          [
            ...part.flatMap(({ source, database, table, sink, key, isKey, id, kind, details }) => [
              ...[source, database, table, sink, key, isKey, id, id, kind, JSON.stringify(details)],
              ...[actor.slice(0, 255), nowMs, nowMs],
            ]),
            POLICY_ACTOR,
          ],
        ),
      );
  }

  async find(id: string): Promise<RepairRecord | null> {
    if (!/^\d{1,19}$/.test(id)) return null;
    const row = await this.#database.run((manager) => manager.findOneBy(RepairEntity, { id }));
    return row && toRecord(row);
  }

  async list({ states, ...equal }: RepairFilter, { after, limit }: RepairPage): Promise<readonly RepairRecord[]> {
    const where: FindOptionsWhere<RepairEntity> = {
      ...equal,
      ...(states && { state: In([...states]) }),
      ...(after !== null && { id: MoreThan(after) }),
    };
    const rows = await this.#database.run((manager) =>
      manager.find(RepairEntity, { where, order: { id: 'ASC' }, take: limit }),
    );
    return rows.map(toRecord);
  }

  async listDue(
    source: string,
    states: readonly RepairState[],
    nowMs: number,
    most: number,
    { actor, tables }: HeldRepairs = { actor: '', tables: [] },
  ): Promise<readonly RepairRecord[]> {
    const rows = await this.#database.run((manager) => {
      const query = manager
        .createQueryBuilder(RepairEntity, 'r')
        .where('r.source = :source AND r.state IN (:...states) AND r.nextAtMs <= :nowMs', {
          ...{ source, states: [...states, ''], nowMs },
        })
        .orderBy('r.id', 'ASC')
        .limit(most);
      if (tables.length > 0)
        query.andWhere('NOT (r.actor = :actor AND (r.database, r.table) IN (:held))', {
          ...{ actor, held: tables.map(({ database, table }) => [database, table]) },
        });
      return query.getMany();
    });
    return rows.map(toRecord);
  }

  async beginRead(ids: readonly string[], readId: string): Promise<void> {
    // at once: whoever asks for the rows of the read must find all of them
    await this.#database.transaction(async (manager) => {
      for (const part of slices(ids, IDS_AT_ONCE))
        await manager.query(
          `UPDATE repairs SET state = 'reading', read_id = ?, attempts = attempts + 1, reason = NULL
           WHERE id IN (?) AND state IN ('planned', 'failed')`,
          [readId, part],
        );
    });
  }

  async listByRead(readId: string): Promise<readonly RepairRecord[]> {
    const rows = await this.#database.run((manager) =>
      manager.find(RepairEntity, { where: { readId, state: 'reading' }, order: { id: 'ASC' } }),
    );
    return rows.map(toRecord);
  }

  async change(ids: readonly string[], from: readonly RepairState[], change: RepairChange): Promise<number> {
    const { to, reason, attempts, nextAtMs, after } = change;
    const hasEnded = ENDED.includes(to);
    const sets: readonly (readonly [string, unknown])[] = [
      ['state = ?', to],
      ...(reason === undefined ? [] : ([['reason = ?', reason?.slice(0, 512) ?? null]] as const)),
      ...(attempts === undefined ? [] : ([['attempts = ?', attempts]] as const)),
      ...(nextAtMs === undefined ? [] : ([['next_at_ms = ?', nextAtMs]] as const)),
      ...(after === undefined ? [] : ([['seen_after = ?', JSON.stringify(after)]] as const)),
      ...(hasEnded ? ([['under_way = NULL, ended_at_ms = ?', this.#nowMs()]] as const) : []),
    ];
    let changed = 0;
    for (const part of slices(ids, IDS_AT_ONCE))
      changed += await this.#database.transaction(async (manager) => {
        const result = await manager.query<WriteResult>(
          `UPDATE repairs SET ${sets.map(([set]) => set).join(', ')} WHERE id IN (?) AND state IN (?)`,
          [...sets.map(([, value]) => value), part, [...from]],
        );
        return result.affectedRows;
      });
    return changed;
  }

  async listOpenTables(source: string): Promise<readonly OpenTable[]> {
    const rows = await this.#database.run((manager) =>
      manager.query<(TableName & { readonly open: unknown })[]>(
        `SELECT database_name AS \`database\`, table_name AS \`table\`, COUNT(*) AS open FROM mismatches
         WHERE source = ? AND state = 'open' AND kind <> 'gap' GROUP BY database_name, table_name ORDER BY 1, 2`,
        [source],
      ),
    );
    return rows.map(({ open, ...table }) => ({ ...table, open: Number(open) }));
  }

  async listWaitingTables(source: string, actor: string): Promise<readonly TableName[]> {
    return this.#database.run((manager) =>
      manager.query<TableName[]>(
        `SELECT DISTINCT database_name AS \`database\`, table_name AS \`table\` FROM repairs
         WHERE source = ? AND state IN ('planned', 'failed') AND actor = ?`,
        [source, actor],
      ),
    );
  }

  async countFound(source: string, { database, table }: TableName, sinceMs: number): Promise<number> {
    return this.#count(
      "mismatches WHERE source = ? AND database_name = ? AND table_name = ? AND first_seen_ms > ? AND kind <> 'gap'",
      [source, database, table, sinceMs],
    );
  }

  async countPlanned(source: string, { database, table }: TableName, actor: string, sinceMs: number): Promise<number> {
    return this.#count(
      'repairs WHERE source = ? AND database_name = ? AND table_name = ? AND actor = ? AND planned_at_ms > ?',
      [source, database, table, actor, sinceMs],
    );
  }

  async listBreakers(source?: string): Promise<readonly RepairBreaker[]> {
    return this.#database.run((manager) =>
      manager.find(RepairBreakerEntity, { ...(source !== undefined && { where: { source } }) }),
    );
  }

  async openBreaker(source: string, { database, table }: TableName, found: number, nowMs: number): Promise<boolean> {
    return this.#database.transaction(async (manager) => {
      await manager.query(
        `INSERT INTO repair_breakers (source, database_name, table_name, found) VALUES (?, ?, ?, 0)
         ON DUPLICATE KEY UPDATE found = found`,
        [source, database, table],
      );
      const where = { source, database, table, openedAtMs: IsNull() };
      const { affected } = await manager.update(RepairBreakerEntity, where, { openedAtMs: nowMs, found });
      return affected === 1;
    });
  }

  async closeBreaker(source: string, { database, table }: TableName, actor: string, nowMs: number): Promise<boolean> {
    return this.#database.transaction(async (manager) => {
      const closed = await manager.query<WriteResult>(
        `UPDATE repair_breakers SET opened_at_ms = NULL, closed_at_ms = ?, closed_by = ?
         WHERE source = ? AND database_name = ? AND table_name = ? AND opened_at_ms IS NOT NULL`,
        [nowMs, actor.slice(0, 255), source, database, table],
      );
      return closed.affectedRows === 1;
    });
  }

  async #count(from: string, values: readonly unknown[]): Promise<number> {
    const rows = await this.#database.run((manager) =>
      manager.query<{ readonly count: unknown }[]>(`SELECT COUNT(*) AS count FROM ${from}`, [...values]),
    );
    return Number(rows[0]?.count ?? 0);
  }
}

function* slices<Item>(items: readonly Item[], size: number): Iterable<Item[]> {
  for (let at = 0; at < items.length; at += size) yield items.slice(at, at + size);
}

function toRecord(row: RepairEntity): RepairRecord {
  const { id, source, database, table, sink, key, isKey, mismatchId, kind, state, attempts, readId } = row;
  const { before, after, actor, reason, plannedAtMs, nextAtMs, endedAtMs } = row;
  return {
    ...{ id: String(id), source, database, table, sink, key, isKey, mismatchId: String(mismatchId) },
    ...{ kind, state, attempts, readId, before, after, actor, reason, plannedAtMs, nextAtMs, endedAtMs },
  };
}
