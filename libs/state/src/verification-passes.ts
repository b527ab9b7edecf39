import { type EntityManager } from 'typeorm';
import { type TableName } from '#change-events';
import { COVERAGE_WINDOWS, type CoveragePass } from '#verification';

/** A run of a whole table, in one sink. */
export interface TablePass extends TableName, CoveragePass {
  readonly sink: string;
}

/** As the driver gives them: a sum as text, a BIGINT as either. */
interface PassRow extends TableName {
  readonly sink: string;
  readonly counted: number | string;
  readonly estimated: number | string;
  readonly startedAtMs: number | string | null;
  readonly endedAtMs: number | string | null;
  readonly oldestMs: number | string | null;
  readonly hour: number | string;
  readonly day: number | string;
  readonly week: number | string;
}

const DONE_CHUNKS = `LEFT JOIN verification_chunks c ON c.run_id = t.run_id AND c.database_name = t.database_name
  AND c.table_name = t.table_name AND c.sink = t.sink AND c.phase = 'rows' AND c.done_at_ms IS NOT NULL`;

const FROM = {
  /** The last of each table. */
  whole: `verification_coverage v JOIN verification_tables t ON t.run_id = v.run_id
    AND t.database_name = v.database_name AND t.table_name = v.table_name AND t.sink = v.sink
    ${DONE_CHUNKS} WHERE v.source = ?`,
  'under way': `verification_runs r JOIN verification_tables t ON t.run_id = r.id ${DONE_CHUNKS}
    WHERE r.source = ? AND r.state IN ('running', 'paused') AND r.scope->>'$.kind' IN ('source', 'tables') AND t.ended_at_ms IS NULL`,
} as const;

export async function readPasses(
  manager: EntityManager,
  which: keyof typeof FROM,
  source: string,
  nowMs: number,
): Promise<readonly TablePass[]> {
  const { hour, day, week } = COVERAGE_WINDOWS;
  const rows = await manager.query<PassRow[]>(
    `SELECT t.database_name AS \`database\`, t.table_name AS \`table\`, t.sink, t.row_count AS counted,
       t.estimated_rows AS estimated, t.started_at_ms AS startedAtMs, t.ended_at_ms AS endedAtMs,
       MIN(c.done_at_ms) AS oldestMs,
       COALESCE(SUM(IF(c.done_at_ms >= ?, c.row_count, 0)), 0) AS hour,
       COALESCE(SUM(IF(c.done_at_ms >= ?, c.row_count, 0)), 0) AS day,
       COALESCE(SUM(IF(c.done_at_ms >= ?, c.row_count, 0)), 0) AS week
     FROM ${FROM[which]}
     GROUP BY t.run_id, t.database_name, t.table_name, t.sink ORDER BY 1, 2, 3`,
    [nowMs - hour, nowMs - day, nowMs - week, source],
  );
  return rows.map((row) => ({
    ...{ database: row.database, table: row.table, sink: row.sink },
    rows: which === 'whole' ? Number(row.counted) : Math.max(Number(row.counted), Number(row.estimated)),
    verified: { hour: Number(row.hour), day: Number(row.day), week: Number(row.week) },
    startedAtMs: orNull(row.startedAtMs) ?? nowMs,
    endedAtMs: orNull(row.endedAtMs),
    oldestMs: orNull(row.oldestMs),
  }));
}

/** After a table has ended. The pass that began last counts: all its rows were compared after that. */
export async function recordPass(
  manager: EntityManager,
  { runId, database, table, sink }: TableName & { readonly runId: string; readonly sink: string },
): Promise<void> {
  await manager.query(
    `INSERT INTO verification_coverage (source, database_name, table_name, sink, run_id, started_at_ms)
       SELECT r.source, t.database_name, t.table_name, t.sink, r.id, t.started_at_ms
       FROM verification_tables t JOIN verification_runs r ON r.id = t.run_id
       WHERE t.run_id = ? AND t.database_name = ? AND t.table_name = ? AND t.sink = ?
         AND r.scope->>'$.kind' IN ('source', 'tables') AND t.started_at_ms IS NOT NULL
     ON DUPLICATE KEY UPDATE
       run_id = IF(VALUES(started_at_ms) >= verification_coverage.started_at_ms, VALUES(run_id),
         verification_coverage.run_id),
       started_at_ms = GREATEST(VALUES(started_at_ms), verification_coverage.started_at_ms)`,
    [runId, database, table, sink],
  );
}

function orNull(value: number | string | null): number | null {
  return value === null ? null : Number(value);
}
