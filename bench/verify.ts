import { DittoError, sleep } from '#kernel';
import { type ServiceProcess } from '../demo/service-process.ts';
import { measureBareRead } from './bare-read.ts';
import { type BenchEnvironment } from './environment.ts';
import { createTopic } from './kafka-topic.ts';
import { type VerifyOptions } from './options.ts';
import { ProcessUsage, readPeakRssBytes } from './process-usage.ts';
import { rateOf, round } from './statistics.ts';
import { createTable, writeBacklog } from './workload.ts';

const FILL_ROWS_PER_TRANSACTION = 1000;
const READY_WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 200;

export interface VerifyResult {
  readonly rows: number;
  readonly workers: number;
  readonly rowsPerSecond: number;
  /** Rate at which both sides are read bare together, before and after the run: the mean. */
  readonly ceilingRowsPerSecond: number;
  readonly ofCeiling: number;
  /** Of all workers together. */
  readonly cpuMicrosPerRow: number;
  /** Of the worker that held most. */
  readonly peakRssBytes: number;
}

/** What this bench reads of a run. */
interface Run {
  readonly id: string;
  readonly state: string;
  readonly rows: number;
  readonly details: readonly { readonly equal: number; readonly mismatches: number; readonly listed: number }[];
}

/** One run over a table that is in the sink: all rows must be found equal. */
export async function runVerify(environment: BenchEnvironment, options: VerifyOptions): Promise<VerifyResult> {
  const { stack, database, say, signal, sinks } = environment;
  const { rows, workers } = options;
  const [sink = 'mongo'] = sinks;
  const mysql = stack.url('mysql-primary');
  await createTable(mysql, database);
  if (sink === 'kafka') await createTopic(environment);
  say(`Writing ${rows} rows …`);
  await writeBacklog(mysql, database, { rows, rowsPerTransaction: FILL_ROWS_PER_TRANSACTION }, signal);
  say('The table is filled. DSS copies it.');
  const dss = environment.startDss();
  await environment.watch(
    dss,
    250,
    ({ snapshot }) => snapshot.length > 0 && snapshot.every(({ state }) => state === 'done'),
    ({ snapshot }) => snapshot[0]?.rowsRead,
  );
  const before = await measureBareRead(environment, sink, rows);
  say(`Read bare, both sides together: ${before} rows/s. The run begins.`);
  const started = await environment.startWorkers(workers);
  await Promise.all(started.map((worker) => worker.waitUntilReady(READY_WITHIN_MS, signal)));
  const [first] = started as [ServiceProcess];
  const usages = started.map(({ pid }) => new ProcessUsage(pid));
  const beganAtMs = Date.now();
  const id = await createRun(first, environment.source, sink);
  const run = await waitForEnd(first, id, say, signal);
  const endedAtMs = Date.now();
  const cpuMicros = usages.reduce((sum, usage) => sum + usage.cpuMicrosBetween(beganAtMs, endedAtMs), 0);
  const peakRssBytes = Math.max(...started.map(({ pid }) => readPeakRssBytes(pid)));
  for (const usage of usages) usage.stop();
  assertAllEqual(run, rows);
  const after = await measureBareRead(environment, sink, rows);
  const rowsPerSecond = rateOf(rows, endedAtMs - beganAtMs);
  const ceilingRowsPerSecond = Math.round((before + after) / 2);
  return {
    rows,
    workers,
    rowsPerSecond,
    ceilingRowsPerSecond,
    ofCeiling: round(rowsPerSecond / ceilingRowsPerSecond, 3),
    cpuMicrosPerRow: round(cpuMicros / rows, 2),
    peakRssBytes,
  };
}

async function createRun(worker: ServiceProcess, source: string, sink: string): Promise<string> {
  const response = await fetch(`${worker.url}/verifications`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ source, sinks: [sink] }),
  });
  if (response.ok) return ((await response.json()) as Run).id;
  throw new DittoError('DITTO_BENCH_RUN_REFUSED', `DWS has refused the run: ${await response.text()}`);
}

async function waitForEnd(
  worker: ServiceProcess,
  id: string,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<Run> {
  let saidAt = performance.now();
  for (;;) {
    worker.assertRunning();
    const response = await fetch(`${worker.url}/verifications/${id}`, { signal });
    const run = (await response.json()) as Run;
    if (!['running', 'waiting', 'paused'].includes(run.state)) return run;
    if (performance.now() - saidAt > 2_000) {
      saidAt = performance.now();
      say(`${run.rows} rows verified`);
    }
    await sleep(LOOK_EVERY_MS, signal);
  }
}

function assertAllEqual(run: Run, rows: number): void {
  const [table] = run.details;
  if (run.state === 'done' && run.rows === rows && table?.equal === rows && table.mismatches === 0) return;
  throw new DittoError('DITTO_BENCH_WRONG_COUNT', 'The run has not found each row equal.', { context: { run } });
}
