import { DittoError, sleep } from '#kernel';
import { type ServiceProcess } from '../demo/service-process.ts';
import { clockMs } from './arrivals.ts';
import { type BenchEnvironment } from './environment.ts';
import { watchKafka } from './kafka-arrivals.ts';
import { createTopic } from './kafka-topic.ts';
import { type RestartOptions } from './options.ts';
import { readCpuMicros, readPeakRssBytes } from './process-usage.ts';
import { RestartRows } from './restart-rows.ts';
import { percentilesOf } from './statistics.ts';
import { writeSteadily } from './steady-writer.ts';
import { createTable } from './workload.ts';

/** More than any run takes: the writer is stopped. */
const WRITE_FOR_SECONDS = 3600;
/** So that a kill meets DSS at work, at another moment of its lease each time. */
const SETTLE_MS = 2_300;
const READY_WITHIN_MS = 60_000;
const ARRIVE_WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 10;

/** Milliseconds since `kill -9`, except `cpuMs`. */
interface Restart {
  readonly readyMs: number;
  readonly streamingMs: number;
  /** Until Kafka had the first row that was committed after the kill, by the broker's own clock. */
  readonly firstRowMs: number;
  /** Rows that Kafka has twice because of the kill. */
  readonly duplicates: number;
  /** CPU time of the new process until it streams, user and system. */
  readonly cpuMs: number;
}

export interface RestartResult extends Restart {
  readonly kills: number;
  readonly ratePerSecond: number;
  readonly rowsPerTransaction: number;
  /** Of the process that held most at once. */
  readonly peakRssBytes: number;
  /** Of each kill; the figures above are their medians. */
  readonly each: readonly Restart[];
}

/** DSS is killed while rows are written at a fixed rate, and started again at once. No committed row may be missing. */
export async function runRestart(environment: BenchEnvironment, options: RestartOptions): Promise<RestartResult> {
  const { stack, database, brokers, topic, say, signal } = environment;
  const { kills, rate, rowsPerTransaction } = options;
  const mysql = stack.url('mysql-primary');
  await createTable(mysql, database);
  await createTopic(environment);
  let dss = environment.startDss();
  await environment.watch(dss, 100, ({ state }) => state === 'streaming');
  const rows = new RestartRows();
  const [writer, reader] = [new AbortController(), new AbortController()];
  const reading = watchKafka(brokers, topic, rows, AbortSignal.any([signal, reader.signal]));
  const load = { database, ratePerSecond: rate, rowsPerTransaction, rows: rate * WRITE_FOR_SECONDS };
  const onCommitted = rows.commit.bind(rows);
  const writing = writeSteadily(mysql, { ...load, onCommitted }, AbortSignal.any([signal, writer.signal]));
  const failure = Promise.race([reading, writing]).then(() => {
    throw new DittoError('DITTO_BENCH_LOAD_ENDED', 'The load ended before the last restart.');
  });
  failure.catch(() => undefined); // the one who waits at the time gets it
  try {
    const each: Restart[] = [];
    let peakRssBytes = 0;
    while (each.length < kills) {
      await Promise.race([sleep(SETTLE_MS, signal), failure]);
      await Promise.race([waitForRows(rows, signal), failure]);
      peakRssBytes = Math.max(peakRssBytes, readPeakRssBytes(dss.pid));
      const restart = await Promise.race([restartDss(environment, dss, rows), failure]);
      dss = restart.dss;
      each.push(restart.figures);
      say(`Kill ${each.length} of ${kills}: ${JSON.stringify(restart.figures)}`);
    }
    writer.abort();
    await writing.catch(() => undefined);
    await waitForRows(rows, signal);
    peakRssBytes = Math.max(peakRssBytes, readPeakRssBytes(dss.pid));
    return { kills, ratePerSecond: rate, rowsPerTransaction, ...findMedians(each), peakRssBytes, each };
  } finally {
    writer.abort();
    reader.abort();
    await Promise.allSettled([writing, reading]);
  }
}

async function restartDss(
  environment: BenchEnvironment,
  killed: ServiceProcess,
  rows: RestartRows,
): Promise<{ readonly dss: ServiceProcess; readonly figures: Restart }> {
  const { signal } = environment;
  const duplicatesBefore = rows.duplicates;
  const killedAtMs = clockMs();
  rows.expectAfter(killedAtMs);
  await killed.kill();
  const dss = environment.startDss();
  const since = (): number => Math.round(clockMs() - killedAtMs);
  const ready = dss.waitUntilReady(READY_WITHIN_MS, signal).then(since);
  const streaming = environment
    .watch(dss, LOOK_EVERY_MS, ({ state }) => state === 'streaming')
    .then(() => ({ streamingMs: since(), cpuMs: readCpuMicros(dss.pid) / 1000 }));
  const [readyMs, streamed] = await Promise.all([ready, streaming]);
  await waitForRows(rows, signal);
  const firstRowMs = Math.round(rows.firstAppendMs - killedAtMs);
  return { dss, figures: { readyMs, ...streamed, firstRowMs, duplicates: rows.duplicates - duplicatesBefore } };
}

/** Until Kafka has every row that is committed by now. */
async function waitForRows(rows: RestartRows, signal: AbortSignal): Promise<void> {
  const { committed } = rows;
  const deadline = performance.now() + ARRIVE_WITHIN_MS;
  while (!rows.hasArrived(committed)) {
    if (performance.now() > deadline)
      throw new DittoError('DITTO_BENCH_ROWS_MISSING', 'Not every committed row has arrived within a minute.');
    await sleep(LOOK_EVERY_MS, signal);
  }
}

function findMedians(each: readonly Restart[]): Restart {
  const median = (of: (restart: Restart) => number): number => percentilesOf(each.map(of)).p50;
  return {
    readyMs: median(({ readyMs }) => readyMs),
    streamingMs: median(({ streamingMs }) => streamingMs),
    firstRowMs: median(({ firstRowMs }) => firstRowMs),
    duplicates: median(({ duplicates }) => duplicates),
    cpuMs: median(({ cpuMs }) => cpuMs),
  };
}
