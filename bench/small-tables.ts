import { type BenchEnvironment } from './environment.ts';
import { type TablesOptions } from './options.ts';
import { ProcessUsage, readPeakRssBytes } from './process-usage.ts';
import { round } from './statistics.ts';
import { ROWS_OF_SMALL_TABLE, writeSmallTables } from './workload.ts';

const POLL_MS = 100;

export interface TablesResult {
  readonly tables: number;
  readonly tablesPerSecond: number;
  readonly cpuMillisPerTable: number;
  readonly peakRssBytes: number;
}

/** Tables of few rows that are there before the source is seen for the first time; measured from the first confirmed row to the last. */
export async function runTables(environment: BenchEnvironment, { tables }: TablesOptions): Promise<TablesResult> {
  const { stack, database, say, signal, sinks } = environment;
  say(`Writing ${tables} tables …`);
  await writeSmallTables(stack.url('mysql-primary'), database, tables, signal);
  const dss = environment.startDss(environment.options.profile);
  const usage = new ProcessUsage(dss.pid);
  /** The first row that was seen to be confirmed, and how many were. */
  const began: { readonly atMs: number; readonly rows: number }[] = [];
  const rowsOf = (status: Parameters<Parameters<BenchEnvironment['watch']>[2]>[0]): number =>
    Math.min(...sinks.map((sink) => status.sinks[sink]?.confirmedChanges ?? 0));
  try {
    await environment.watch(
      dss,
      POLL_MS,
      (status) => {
        const rows = rowsOf(status);
        if (rows > 0 && began.length === 0) began.push({ atMs: Date.now(), rows });
        return rows >= tables * ROWS_OF_SMALL_TABLE;
      },
      rowsOf,
    );
    const endedAtMs = Date.now();
    const [first = { atMs: endedAtMs, rows: 0 }] = began;
    const counted = tables - first.rows / ROWS_OF_SMALL_TABLE;
    return {
      tables,
      tablesPerSecond: round((1000 * counted) / (endedAtMs - first.atMs), 1),
      cpuMillisPerTable: round(usage.cpuMicrosBetween(first.atMs, endedAtMs) / 1000 / counted, 1),
      peakRssBytes: readPeakRssBytes(dss.pid),
    };
  } finally {
    usage.stop();
  }
}
