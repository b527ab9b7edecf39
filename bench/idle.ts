import { sleep } from '#kernel';
import { type ServiceProcess } from '../demo/service-process.ts';
import { type BenchEnvironment } from './environment.ts';
import { type IdleOptions } from './options.ts';
import { readCpuMicros } from './process-usage.ts';
import { round } from './statistics.ts';
import { createTable, writeBacklog } from './workload.ts';

const ROWS = { rows: 1_000, rowsPerTransaction: 100 };
const READY_WITHIN_MS = 60_000;
/** Until what a start leaves to do is done: connections of pools, a compiler that works in the background. */
const SETTLE_MS = 20_000;

/** Per cent of one core. */
export interface IdleResult {
  readonly seconds: number;
  readonly dcsPercent: number;
  readonly dssPercent: number;
  readonly dwsPercent: number;
}

/** One source with one table, all of it copied; nobody writes. */
export async function runIdle(environment: BenchEnvironment, options: IdleOptions): Promise<IdleResult> {
  const { stack, database, signal, say, dcs } = environment;
  const { seconds } = options;
  const mysql = stack.url('mysql-primary');
  await createTable(mysql, database);
  const dss = environment.startDss();
  await environment.watch(dss, 100, ({ state }) => state === 'streaming');
  const [dws] = (await environment.startWorkers(1)) as [ServiceProcess];
  await dws.waitUntilReady(READY_WITHIN_MS, signal);
  await writeBacklog(mysql, database, ROWS, signal);
  await environment.watch(dss, 100, ({ sinks }) =>
    environment.sinks.every((sink) => (sinks[sink]?.confirmedChanges ?? 0) >= ROWS.rows),
  );
  say(`All is delivered. ${SETTLE_MS / 1000} s of rest, then ${seconds} s are measured.`);
  await sleep(SETTLE_MS, signal);
  const services = [dcs, dss, dws];
  const [before, beganAt] = [services.map(({ pid }) => readCpuMicros(pid)), performance.now()];
  await sleep(seconds * 1000, signal);
  const elapsedMicros = (performance.now() - beganAt) * 1000;
  const [dcsPercent = 0, dssPercent = 0, dwsPercent = 0] = services.map(({ pid }, index) =>
    round((100 * (readCpuMicros(pid) - (before[index] as number))) / elapsedMicros, 2),
  );
  return { seconds, dcsPercent, dssPercent, dwsPercent };
}
