import { type EntityManager } from 'typeorm';
import { type TableName } from '#change-events';
import {
  type ChunkEnd,
  combinePasses,
  type DueChunk,
  type NewRun,
  type RowCounts,
  type RunChunk,
  type RunError,
  type RunFilter,
  type RunRecord,
  type RunState,
  type RunTable,
  type TableCoverage,
  type TableHold,
  type RunScope,
  type TablePhase,
  type TakenChunk,
  VerificationRunStore,
} from '#verification';
import { VerificationChunkEntity } from './entities/verification-chunk.entity.ts';
import { VerificationRunEntity } from './entities/verification-run.entity.ts';
import { VerificationTableEntity } from './entities/verification-table.entity.ts';
import { type StateDatabase } from './state-database.ts';
import { type WriteResult } from './state-fencing.ts';
import { readPasses, recordPass } from './verification-passes.ts';

interface InsertResult extends WriteResult {
  readonly insertId: number;
}

type TablePart = Pick<RunChunk, 'runId' | 'database' | 'table' | 'sink'>;

const MOST_AT_ONCE = 500;
const TABLE_WHERE = 'run_id = ? AND database_name = ? AND table_name = ? AND sink = ?';

export class StateVerificationRunStore extends VerificationRunStore {
  readonly #database: StateDatabase;
  readonly #nowMs: () => number;

  constructor(database: StateDatabase, nowMs: () => number = Date.now) {
    super();
    this.#database = database;
    this.#nowMs = nowMs;
  }

  async create(run: NewRun, tables: readonly TableName[]): Promise<readonly DueChunk[]> {
    const { id, source, scope, sinks, trigger, actor, rowsPerSecond, secondWayShare, createdAtMs } = run;
    const parts = tables.flatMap(({ database, table }) => sinks.map((sink) => [id, database, table, sink]));
    const state: RunState = parts.length === 0 ? 'done' : 'running';
    return this.#database.transaction(async (manager) => {
      const { affectedRows } = await manager.query<WriteResult>(
        `INSERT IGNORE INTO verification_runs
           (id, source, scope, sinks, trigger_name, actor, rows_per_second, second_way_share, state, paced_until_ms, open_tables, created_at_ms, ended_at_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        [
          ...[id, source, JSON.stringify(scope), JSON.stringify(sinks), trigger, actor.slice(0, 255), rowsPerSecond],
          ...[secondWayShare, state, createdAtMs, parts.length, createdAtMs, state === 'done' ? createdAtMs : null],
        ],
      );
      if (affectedRows === 0) return [];
      for (let at = 0; at < parts.length; at += MOST_AT_ONCE) {
        const some = parts.slice(at, at + MOST_AT_ONCE);
        await manager.query(
          'INSERT INTO verification_tables (run_id, database_name, table_name, sink, phase) VALUES ?',
          [some.map((part) => [...part, 'planning'])],
        );
        await manager.query(
          `INSERT INTO verification_chunks (run_id, database_name, table_name, sink, phase, number, not_before_ms) VALUES ?`,
          [some.map((part) => [...part, 'planning', 0, createdAtMs])],
        );
      }
      const begun = await manager.find(VerificationChunkEntity, {
        select: { id: true, attempts: true, notBeforeMs: true },
        where: { runId: id },
        take: MOST_AT_ONCE,
      });
      return begun.map(toDue);
    });
  }

  async find(id: string): Promise<RunRecord | null> {
    const row = await this.#database.run((manager) => manager.findOneBy(VerificationRunEntity, { id }));
    return row && toRun(row);
  }

  async list({ source, states, trigger }: RunFilter, limit: number): Promise<readonly RunRecord[]> {
    const rows = await this.#database.run((manager) => {
      const query = manager.createQueryBuilder(VerificationRunEntity, 'run');
      if (source !== undefined) query.andWhere('run.source = :source', { source });
      if (states !== undefined) query.andWhere('run.state IN (:...states)', { states: [...states, ''] });
      if (trigger !== undefined) query.andWhere('run.trigger = :trigger', { trigger });
      return query.orderBy('run.createdAtMs', 'DESC').addOrderBy('run.id', 'ASC').limit(limit).getMany();
    });
    return rows.map(toRun);
  }

  async listTables(runId: string): Promise<readonly RunTable[]> {
    const rows = await this.#database.run((manager) =>
      manager.find(VerificationTableEntity, {
        where: { runId },
        order: { database: 'ASC', table: 'ASC', sink: 'ASC' },
      }),
    );
    return rows.map(toTable);
  }

  async listCoverage(source: string): Promise<readonly TableCoverage[]> {
    const now = this.#nowMs();
    const { whole, underWay } = await this.#database.run(async (manager) => ({
      whole: await readPasses(manager, 'whole', source, now),
      underWay: await readPasses(manager, 'under way', source, now),
    }));
    const byTable = Map.groupBy([...whole, ...underWay], ({ database, table, sink }) =>
      JSON.stringify([database, table, sink]),
    );
    return [...byTable.values()].flatMap((passes) => {
      const [first] = passes;
      if (first === undefined) return [];
      const { database, table, sink } = first;
      const last = first.endedAtMs === null ? null : first;
      return [{ database, table, sink, ...combinePasses(last, passes.slice(last === null ? 0 : 1), now) }];
    });
  }

  async changeState(id: string, from: readonly RunState[], to: RunState, error?: RunError): Promise<boolean> {
    const endedAtMs = to === 'running' || to === 'paused' ? null : this.#nowMs();
    const isChanged = await this.#database.transaction(async (manager) => {
      const changed = await manager.query<WriteResult>(
        'UPDATE verification_runs SET state = ?, error = ?, ended_at_ms = ? WHERE id = ? AND state IN (?)',
        [to, error === undefined ? null : JSON.stringify(error), endedAtMs, id, [...from, '']],
      );
      return changed.affectedRows > 0;
    });
    // a transaction of its own: workers lock chunks before the run
    if (isChanged && endedAtMs !== null)
      await this.#database.transaction((manager) =>
        manager.query('UPDATE verification_chunks SET is_open = FALSE WHERE run_id = ? AND is_open', [id]),
      );
    return isChanged;
  }

  async listDue(nowMs: number, most: number): Promise<readonly DueChunk[]> {
    const rows = await this.#database.run((manager) =>
      manager.query<Pick<VerificationChunkEntity, 'id' | 'attempts' | 'notBeforeMs'>[]>(
        `SELECT c.id, c.attempts, c.not_before_ms AS notBeforeMs FROM verification_chunks c JOIN verification_runs r ON r.id = c.run_id
         WHERE c.is_open AND c.not_before_ms <= ? AND r.state = 'running' ORDER BY c.not_before_ms, c.id LIMIT ?`,
        [nowMs, most],
      ),
    );
    return rows.map(toDue);
  }

  async take(chunkId: string, worker: string, leaseMs: number): Promise<TakenChunk | null> {
    const now = this.#nowMs();
    return this.#database.transaction(async (manager) => {
      const taken = await manager.query<WriteResult>(
        `UPDATE verification_chunks SET worker = ?, not_before_ms = ?, attempts = attempts + 1
         WHERE id = ? AND is_open AND not_before_ms <= ?`,
        [worker, now + leaseMs, chunkId, now],
      );
      if (taken.affectedRows === 0) return null;
      const chunk = await manager.findOneByOrFail(VerificationChunkEntity, { id: chunkId });
      const { runId, database, table, sink } = chunk;
      const run = await manager.findOneByOrFail(VerificationRunEntity, { id: runId });
      if (run.state !== 'running') {
        await manager.query(
          'UPDATE verification_chunks SET worker = NULL, not_before_ms = ?, attempts = attempts - 1 WHERE id = ?',
          [now, chunkId],
        );
        return null;
      }
      const of = await manager.findOneByOrFail(VerificationTableEntity, { runId, database, table, sink });
      return { chunk: toChunk(chunk), run: toRun(run), table: toTable(of) };
    });
  }

  async prolong(chunkId: string, worker: string, leaseMs: number): Promise<boolean> {
    return this.#database.transaction(async (manager) => {
      const prolonged = await manager.query<WriteResult>(
        `UPDATE verification_chunks SET not_before_ms = ? WHERE id = ? AND worker = ? AND is_open`,
        [this.#nowMs() + leaseMs, chunkId, worker],
      );
      return prolonged.affectedRows > 0;
    });
  }

  async recordEnd(
    chunk: RunChunk,
    { until, isLast }: ChunkEnd,
    rows: number,
  ): Promise<{ readonly end: ChunkEnd; readonly next: DueChunk | null }> {
    const { id, runId } = chunk;
    const now = this.#nowMs();
    return this.#database.transaction(async (manager) => {
      await lockTable(manager, chunk);
      const recorded = await manager.query<WriteResult>(
        `UPDATE verification_chunks SET until_key = ?, is_last = ? WHERE id = ? AND is_open AND is_last IS NULL`,
        [until, isLast, id],
      );
      if (recorded.affectedRows === 0) {
        const known = await manager.findOneBy(VerificationChunkEntity, { id });
        return { end: (known && toChunk(known).end) ?? { until, isLast }, next: null };
      }
      if (isLast) return { end: { until, isLast }, next: null };
      const notBeforeMs = await paceRun(manager, runId, rows, now);
      return { end: { until, isLast }, next: await addChunk(manager, chunk, { after: until, end: null, notBeforeMs }) };
    });
  }

  async cut(chunk: RunChunk, worker: string, at: string): Promise<readonly DueChunk[]> {
    const { id } = chunk;
    const now = this.#nowMs();
    return this.#database.transaction(async (manager) => {
      await lockTable(manager, chunk);
      const known = await manager.findOneBy(VerificationChunkEntity, { id });
      const cut = await manager.query<WriteResult>(
        `UPDATE verification_chunks SET until_key = ?, is_last = FALSE, worker = NULL, not_before_ms = ?, attempts = 0
         WHERE id = ? AND worker = ? AND is_open AND is_last IS NOT NULL`,
        [at, now, id, worker],
      );
      if (known === null || cut.affectedRows === 0) return [];
      const rest = await addChunk(manager, chunk, { after: at, end: toChunk(known).end, notBeforeMs: now });
      return [{ id, attempts: 0, notBeforeMs: now }, rest];
    });
  }

  async complete(chunk: RunChunk, counts: RowCounts, secondWay: RowCounts, listed = 0): Promise<readonly DueChunk[]> {
    return this.#end(chunk, counts.rows - counts.unsettled, (manager, table) =>
      countIn(manager, table, chunk.phase, { counts, secondWay, listed }),
    );
  }

  async plan(
    chunk: RunChunk,
    { estimatedRows, keySignature }: { readonly estimatedRows: number; readonly keySignature: string },
  ): Promise<readonly DueChunk[]> {
    return this.#end(chunk, 0, async (manager) => {
      await manager.query(
        `UPDATE verification_tables SET estimated_rows = ?, key_signature = ?, hold = NULL WHERE ${TABLE_WHERE}`,
        [estimatedRows, keySignature, ...partOf(chunk)],
      );
    });
  }

  async postpone(
    chunk: RunChunk,
    worker: string,
    { state, reason }: Omit<TableHold, 'sinceMs'>,
    untilMs: number,
  ): Promise<void> {
    const now = this.#nowMs();
    await this.#database.transaction(async (manager) => {
      const table = await lockTable(manager, chunk);
      if (table === null || table.phase === 'done') return;
      const postponed = await manager.query<WriteResult>(
        'UPDATE verification_chunks SET worker = NULL, not_before_ms = ? WHERE id = ? AND worker = ? AND is_open',
        [untilMs, chunk.id, worker],
      );
      if (postponed.affectedRows === 0) return;
      const hold = { state, reason, sinceMs: table.hold?.sinceMs ?? now };
      await manager.query(`UPDATE verification_tables SET hold = ? WHERE ${TABLE_WHERE}`, [
        JSON.stringify(hold),
        ...partOf(chunk),
      ]);
    });
  }

  async release(chunkId: string, worker: string): Promise<void> {
    await this.#database.transaction((manager) =>
      manager.query(
        `UPDATE verification_chunks SET worker = NULL, not_before_ms = ?, attempts = attempts - 1
         WHERE id = ? AND worker = ? AND is_open`,
        [this.#nowMs(), chunkId, worker],
      ),
    );
  }

  async giveUp(chunk: RunChunk, worker: string, { state, reason }: Omit<TableHold, 'sinceMs'>): Promise<void> {
    const now = this.#nowMs();
    await this.#database.transaction(async (manager) => {
      const table = await lockTable(manager, chunk);
      if (table === null || table.phase === 'done') return;
      const ended = await manager.query<WriteResult>(
        'UPDATE verification_chunks SET is_open = FALSE, worker = NULL WHERE id = ? AND worker = ? AND is_open',
        [chunk.id, worker],
      );
      if (ended.affectedRows === 0) return;
      const hold = { state, reason, sinceMs: table.hold?.sinceMs ?? now };
      await manager.query(
        `UPDATE verification_chunks SET is_open = FALSE, worker = NULL WHERE ${TABLE_WHERE} AND is_open`,
        partOf(chunk),
      );
      await endTable(manager, chunk, hold, now);
    });
  }

  async restart(chunk: RunChunk): Promise<readonly DueChunk[]> {
    const now = this.#nowMs();
    return this.#database.transaction(async (manager) => {
      const table = await lockTable(manager, chunk);
      if (table === null || table.phase === 'done') return [];
      await manager.query(`DELETE FROM verification_chunks WHERE ${TABLE_WHERE}`, partOf(chunk));
      await manager.query(
        `UPDATE verification_tables SET phase = 'planning', row_count = 0, equal_count = 0, mismatch_count = 0,
           ignored_count = 0, second_ignored_count = 0, unsettled_count = 0, quarantined_count = 0, second_row_count = 0, second_equal_count = 0,
           second_mismatch_count = 0, second_unsettled_count = 0, second_quarantined_count = 0, listed_count = 0,
           key_signature = NULL WHERE ${TABLE_WHERE}`,
        partOf(chunk),
      );
      return [await beginPhase(manager, chunk, 'planning', now)];
    });
  }

  /** Ends a chunk that nobody has ended yet, and begins the next phase after the last one of a phase. */
  async #end(
    chunk: RunChunk,
    rows: number,
    note: (manager: EntityManager, table: VerificationTableEntity) => Promise<void>,
  ): Promise<readonly DueChunk[]> {
    const now = this.#nowMs();
    return this.#database.transaction(async (manager) => {
      const table = await lockTable(manager, chunk);
      if (table?.phase !== chunk.phase) return [];
      const ended = await manager.query<WriteResult>(
        `UPDATE verification_chunks SET is_open = FALSE, worker = NULL, row_count = ?, done_at_ms = ? WHERE id = ? AND is_open`,
        [rows, now, chunk.id],
      );
      if (ended.affectedRows === 0) return [];
      await note(manager, table);
      const [open] = await manager.query<unknown[]>(
        `SELECT 1 FROM verification_chunks WHERE ${TABLE_WHERE} AND is_open LIMIT 1`,
        partOf(chunk),
      );
      if (open !== undefined) return [];
      const next = await this.#nextPhase(manager, chunk);
      if (next !== 'done') return [await beginPhase(manager, chunk, next, now)];
      await endTable(manager, chunk, null, now);
      return [];
    });
  }

  async #nextPhase(manager: EntityManager, { runId, phase }: RunChunk): Promise<TablePhase> {
    const { scope } = await manager.findOneByOrFail(VerificationRunEntity, { id: runId });
    const phases = PHASES[scope.kind];
    return phases[phases.indexOf(phase) + 1] ?? 'done';
  }
}

const OF_TABLES: readonly TablePhase[] = ['planning', 'rows', 'extras', 'rechecks', 'done'];
/** Mismatches of earlier runs are looked up where the run has met all that is not among them. */
const PHASES: Readonly<Record<RunScope['kind'], readonly TablePhase[]>> = {
  source: OF_TABLES,
  tables: OF_TABLES,
  range: ['planning', 'rows', 'extras', 'done'],
  filter: ['planning', 'rows', 'extras', 'done'],
  keys: ['planning', 'rows', 'done'],
};

function partOf({ runId, database, table, sink }: TablePart): readonly string[] {
  return [runId, database, table, sink];
}

/** Null when it is not there any more. */
async function lockTable(manager: EntityManager, part: TablePart): Promise<VerificationTableEntity | null> {
  await manager.query(`UPDATE verification_tables SET phase = phase WHERE ${TABLE_WHERE}`, partOf(part));
  const { runId, database, table, sink } = part;
  return manager.findOneBy(VerificationTableEntity, { runId, database, table, sink });
}

async function countIn(
  manager: EntityManager,
  table: VerificationTableEntity,
  phase: TablePhase,
  found: { readonly counts: RowCounts; readonly secondWay: RowCounts; readonly listed: number },
): Promise<void> {
  const { counts, secondWay, listed } = found;
  const { rows, equal, mismatches, ignored, unsettled, quarantined } = counts;
  const isRows = phase === 'rows';
  await manager.query(
    `UPDATE verification_tables SET row_count = row_count + ?, equal_count = equal_count + ?,
       mismatch_count = mismatch_count + ?, ignored_count = ignored_count + ?, unsettled_count = unsettled_count + ?,
       quarantined_count = quarantined_count + ?, second_row_count = second_row_count + ?,
       second_equal_count = second_equal_count + ?, second_mismatch_count = second_mismatch_count + ?,
       second_ignored_count = second_ignored_count + ?,
       second_unsettled_count = second_unsettled_count + ?, second_quarantined_count = second_quarantined_count + ?,
       listed_count = listed_count + ?, hold = NULL WHERE ${TABLE_WHERE}`,
    [
      ...[isRows ? rows : 0, isRows ? equal : 0, mismatches, ignored, unsettled, quarantined],
      ...[secondWay.rows, secondWay.equal, secondWay.mismatches, secondWay.ignored],
      ...[secondWay.unsettled, secondWay.quarantined, listed, ...partOf(table)],
    ],
  );
}

async function beginPhase(
  manager: EntityManager,
  part: TablePart,
  phase: TablePhase,
  nowMs: number,
): Promise<DueChunk> {
  await manager.query(
    `UPDATE verification_tables SET phase = ?, started_at_ms = COALESCE(started_at_ms, ?) WHERE ${TABLE_WHERE}`,
    [phase, nowMs, ...partOf(part)],
  );
  const { insertId } = await manager.query<InsertResult>(
    `INSERT INTO verification_chunks (run_id, database_name, table_name, sink, phase, number, not_before_ms)
     VALUES (?, ?, ?, ?, ?, 0, ?)`,
    [...partOf(part), phase, nowMs],
  );
  return { id: String(insertId), attempts: 0, notBeforeMs: nowMs };
}

/** In the phase of another one of the table, which the caller has locked. */
async function addChunk(
  manager: EntityManager,
  of: RunChunk,
  { after, end, notBeforeMs }: Pick<RunChunk, 'after' | 'end'> & Pick<DueChunk, 'notBeforeMs'>,
): Promise<DueChunk> {
  const { insertId } = await manager.query<InsertResult>(
    `INSERT INTO verification_chunks
       (run_id, database_name, table_name, sink, phase, number, after_key, until_key, is_last, not_before_ms)
     SELECT ?, ?, ?, ?, ?, MAX(number) + 1, ?, ?, ?, ? FROM verification_chunks WHERE ${TABLE_WHERE} AND phase = ?`,
    [
      ...[...partOf(of), of.phase, after, end?.until ?? null, end?.isLast ?? null, notBeforeMs],
      ...[...partOf(of), of.phase],
    ],
  );
  return { id: String(insertId), attempts: 0, notBeforeMs };
}

/** Ends the run with its last table. */
async function endTable(manager: EntityManager, part: TablePart, hold: TableHold | null, nowMs: number): Promise<void> {
  await manager.query(`UPDATE verification_tables SET phase = 'done', hold = ?, ended_at_ms = ? WHERE ${TABLE_WHERE}`, [
    hold === null ? null : JSON.stringify(hold),
    nowMs,
    ...partOf(part),
  ]);
  const isJudged = hold?.state !== 'failed';
  const { runId } = part;
  await manager.query(
    'UPDATE verification_runs SET open_tables = open_tables - 1, judged_tables = judged_tables + ? WHERE id = ?',
    [isJudged, runId],
  );
  if (hold === null) await recordPass(manager, part);
  const { openTables, judgedTables } = await manager.findOneByOrFail(VerificationRunEntity, { id: runId });
  if (openTables > 0) return;
  const failure = judgedTables > 0 ? null : (hold?.reason ?? '');
  await manager.query(
    `UPDATE verification_runs SET state = ?, error = ?, ended_at_ms = ? WHERE id = ? AND state IN ('running', 'paused')`,
    failure === null
      ? ['done', null, nowMs, runId]
      : ['failed', JSON.stringify({ code: failure.split(':')[0], message: failure }), nowMs, runId],
  );
}

/** When the next chunk of the run may begin, so that its rate holds. */
async function paceRun(manager: EntityManager, runId: string, rows: number, nowMs: number): Promise<number> {
  const run = await manager.findOneByOrFail(VerificationRunEntity, { id: runId });
  if (run.rowsPerSecond === null) return nowMs;
  await manager.query('UPDATE verification_runs SET paced_until_ms = GREATEST(paced_until_ms, ?) + ? WHERE id = ?', [
    nowMs,
    Math.ceil((rows * 1000) / run.rowsPerSecond),
    runId,
  ]);
  const { pacedUntilMs } = await manager.findOneByOrFail(VerificationRunEntity, { id: runId });
  return pacedUntilMs;
}

function toDue({
  id,
  attempts,
  notBeforeMs,
}: Pick<VerificationChunkEntity, 'id' | 'attempts' | 'notBeforeMs'>): DueChunk {
  return { id: String(id), attempts, notBeforeMs };
}

function toRun(row: VerificationRunEntity): RunRecord {
  const { id, source, scope, sinks, trigger, actor, rowsPerSecond, secondWayShare } = row;
  const { state, error, createdAtMs, endedAtMs } = row;
  return {
    ...{ id, source, scope, sinks, trigger, actor, rowsPerSecond, secondWayShare },
    ...{ state, error, createdAtMs, endedAtMs },
  };
}

function toTable(row: VerificationTableEntity): RunTable {
  const { rows, equal, mismatches, ignored, unsettled, quarantined, ...others } = row;
  const { secondRows, secondEqual, secondMismatches, secondIgnored, ...rest } = others;
  const { secondUnsettled, secondQuarantined, ...table } = rest;
  const secondWay = {
    ...{ rows: secondRows, equal: secondEqual, mismatches: secondMismatches, ignored: secondIgnored },
    ...{ unsettled: secondUnsettled, quarantined: secondQuarantined },
  };
  return { ...table, counts: { rows, equal, mismatches, ignored, unsettled, quarantined }, secondWay };
}

function toChunk(row: VerificationChunkEntity): RunChunk {
  const { id, runId, database, table, sink, phase, number, after, until, isLast, attempts } = row;
  const end = isLast === null ? null : { until, isLast: isLast };
  return { id: String(id), runId, database, table, sink, phase, number, after, end, attempts };
}
