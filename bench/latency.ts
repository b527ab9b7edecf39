import { DittoError, sleep } from '#kernel';
import { Arrivals } from './arrivals.ts';
import { type BenchEnvironment } from './environment.ts';
import { KafkaArrivals, watchKafka } from './kafka-arrivals.ts';
import { createTopic } from './kafka-topic.ts';
import { type LatencyFloor, measureFloor } from './latency-floor.ts';
import { watchMongo } from './mongo-arrivals.ts';
import { type LatencyOptions } from './options.ts';
import { ProcessUsage, readPeakRssBytes } from './process-usage.ts';
import { type Percentiles, percentilesOf, rateOf, round } from './statistics.ts';
import { writeSteadily } from './steady-writer.ts';
import { createTable } from './workload.ts';

const WARM_UP_SECONDS = 5;
const ARRIVE_WITHIN_MS = 60_000;

export interface LatencyResult {
  readonly ratePerSecond: number;
  readonly rowsPerTransaction: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /** Of all rows, warm-up included; well below `ratePerSecond` the source itself could not keep up. */
  readonly writtenPerSecond: number;
  /** From commit to a consumer of Kafka, and to a look at MongoDB that finds the document. */
  readonly kafkaMs?: Percentiles;
  readonly mongoMs?: Percentiles;
  /** From commit until Kafka had the row, by the broker's own clock, in whole milliseconds. */
  readonly kafkaAppendMs?: Percentiles;
  /** The same without Ditto: what this machine, its servers and the measuring take. */
  readonly floor?: LatencyFloor;
  /** Between two looks at MongoDB: by as much a delay may be too long. */
  readonly mongoLookMs?: Percentiles;
  /** How much later than planned the writer sent; not part of the delays. */
  readonly writerLateMs: Percentiles;
  readonly cpuMicrosPerRow: number;
  readonly peakRssBytes: number;
}

/** A fixed rate of rows, each with the client's clock just before its commit; the first seconds don't count. */
export async function runLatency(environment: BenchEnvironment, options: LatencyOptions): Promise<LatencyResult> {
  const { stack, database, say, signal, sinks } = environment;
  const mysql = stack.url('mysql-primary');
  await createTable(mysql, database);
  if (sinks.includes('kafka')) await createTopic(environment);
  const dss = environment.startDss(options.profile);
  await environment.watch(dss, 100, ({ state }) => state === 'streaming');
  const { rate, seconds, rowsPerTransaction } = options;
  const [rows, skipped] = [rate * (seconds + WARM_UP_SECONDS), rate * WARM_UP_SECONDS];
  const ended = new AbortController();
  const watchers = startWatchers(
    environment,
    { rows, skipped, read: options.read },
    AbortSignal.any([signal, ended.signal]),
  );
  const usage = new ProcessUsage(dss.pid);
  try {
    say(`Writing ${rate} rows per second in transactions of ${rowsPerTransaction} for ${seconds} s …`);
    const beganMs = Date.now();
    const writing = writeSteadily(mysql, { database, ratePerSecond: rate, rowsPerTransaction, rows }, signal);
    const lateness = await Promise.race([writing, watchers.failure]);
    const writtenMs = Date.now();
    watchers.written();
    await waitForArrivals(watchers, signal);
    const cpuMicros = usage.cpuMicrosBetween(beganMs + WARM_UP_SECONDS * 1000, writtenMs);
    const peakRssBytes = readPeakRssBytes(dss.pid);
    await dss.stop();
    const floor = options.floor ? await measureFloor(environment, options, WARM_UP_SECONDS) : null;
    return {
      ratePerSecond: rate,
      rowsPerTransaction,
      seconds,
      warmUpSeconds: WARM_UP_SECONDS,
      writtenPerSecond: rateOf(rows, writtenMs - beganMs),
      ...(await watchers.results()),
      ...(floor !== null && { floor }),
      writerLateMs: percentilesOf(lateness),
      cpuMicrosPerRow: round(cpuMicros / (rows - skipped), 2),
      peakRssBytes,
    };
  } finally {
    usage.stop();
    ended.abort();
    watchers.written(); // or it would never begin, and so never end
    await watchers.settled;
  }
}

interface Watchers {
  readonly arrivals: readonly Arrivals[];
  /** Call when all rows are written. */
  readonly written: () => void;
  /** Never resolves; rejects when a watcher fails. */
  readonly failure: Promise<never>;
  readonly settled: Promise<unknown>;
  readonly results: () => Promise<Pick<LatencyResult, 'kafkaMs' | 'kafkaAppendMs' | 'mongoMs' | 'mongoLookMs'>>;
}

function startWatchers(
  { sinks, stack, brokers, topic, mongoDatabase, collection }: BenchEnvironment,
  { rows, skipped, read }: Pick<LatencyOptions, 'read'> & { readonly rows: number; readonly skipped: number },
  signal: AbortSignal,
): Watchers {
  const bounds = { last: rows, skipped };
  const kafka = sinks.includes('kafka') ? new KafkaArrivals(bounds) : null;
  const mongo = sinks.includes('mongo') ? new Arrivals(bounds) : null;
  let written: () => void = () => undefined;
  const start = read === 'live' ? Promise.resolve() : new Promise<void>((resolve) => (written = resolve));
  const watchingKafka = kafka === null ? null : start.then(() => watchKafka(brokers, topic, kafka, signal));
  const watchingMongo =
    mongo === null ? null : watchMongo(stack.url('mongo'), mongoDatabase, collection, mongo, signal);
  const watching = [watchingKafka, watchingMongo].filter((one) => one !== null);
  const failure = new Promise<never>((_resolve, reject) => {
    for (const one of watching) one.catch(reject);
  });
  failure.catch(() => undefined); // the one who waits at the time gets it
  return {
    written,
    arrivals: [kafka?.arrivals, mongo].filter((one) => one !== undefined && one !== null),
    failure,
    settled: Promise.allSettled(watching),
    results: async () => ({
      ...kafka?.delays(read),
      ...(mongo !== null && { mongoMs: percentilesOf(mongo.delaysMs) }),
      ...(watchingMongo !== null && { mongoLookMs: percentilesOf(await watchingMongo) }),
    }),
  };
}

async function waitForArrivals({ arrivals, failure }: Watchers, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + ARRIVE_WITHIN_MS;
  while (arrivals.some(({ complete }) => !complete)) {
    if (performance.now() > deadline)
      throw new DittoError(
        'DITTO_BENCH_ROWS_MISSING',
        'Not every row has arrived a minute after the last was written.',
        {
          context: { missing: arrivals.map(({ missing }) => missing) },
        },
      );
    await Promise.race([sleep(50, signal), failure]);
  }
}
