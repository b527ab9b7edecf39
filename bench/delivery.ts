import { DittoError } from '#kernel';
import { type DssStatus } from '../demo/dss-status.ts';
import { type ServiceProcess } from '../demo/service-process.ts';
import { type BenchEnvironment } from './environment.ts';
import { type BenchSink } from './options.ts';
import { KafkaTopic } from './kafka-topic.ts';
import { withMongo } from './mongo-ceiling.ts';
import { ProcessUsage, readPeakRssBytes } from './process-usage.ts';
import { rateOf, round } from './statistics.ts';
import { combineDeliveries, type Delivery, deliveryFromCounter, deliveryFromSamples, type Sample } from './timeline.ts';

/** Kafka's own clock gives the moments there, so DSS is asked seldom; for MongoDB it is DSS's count that gives them. */
const KAFKA_ONLY_POLL_MS = 250;
const MONGO_POLL_MS = 50;

export interface DeliveryResult {
  readonly rowsPerSecond: number;
  readonly secondHalfRowsPerSecond: number;
  readonly cpuMicrosPerRow: number;
  readonly peakRssBytes: number;
  readonly deliveryMs: number;
  /** From the start of the process to the first row. */
  readonly startToFirstRowMs: number;
  /** Where there are two sinks, the rate of each by itself. */
  readonly rowsPerSecondBySink?: Readonly<Partial<Record<BenchSink, number>>>;
}

/**
 * Starts DSS and measures how `rows` rows that are waiting already reach every sink: rates from first to last delivery,
 * CPU and memory of the process from the kernel. Afterwards each sink must hold exactly that many.
 */
export async function measureDelivery(environment: BenchEnvironment, rows: number): Promise<DeliveryResult> {
  const { sinks, say, signal } = environment;
  const topic = sinks.includes('kafka') ? new KafkaTopic(environment.brokers, environment.topic) : null;
  await topic?.connect();
  const startedAtMs = Date.now();
  const dss = environment.startDss(environment.options.profile);
  const usage = new ProcessUsage(dss.pid);
  try {
    const samples = await followCounters(environment, dss, rows);
    const endedAtMs = Date.now();
    const peakRssBytes = readPeakRssBytes(dss.pid);
    await dss.stop();
    signal.throwIfAborted();
    say('All rows are delivered. Counting what the sinks hold …');
    await assertCounts(environment, topic, rows);
    const deliveries = new Map<BenchSink, Delivery>();
    if (topic !== null)
      deliveries.set('kafka', await deliveryFromCounter((at) => topic.countUntil(at), rows, startedAtMs, endedAtMs));
    if (sinks.includes('mongo')) deliveries.set('mongo', requireDelivery(deliveryFromSamples(samples, rows)));
    return summarize(deliveries, { rows, startedAtMs, usage, peakRssBytes });
  } finally {
    usage.stop();
    await topic?.close();
  }
}

/** Follows what MongoDB has confirmed until every sink has confirmed all. */
async function followCounters(environment: BenchEnvironment, dss: ServiceProcess, rows: number): Promise<Sample[]> {
  const { sinks, say } = environment;
  const samples: Sample[] = [];
  let told = 0;
  const confirmed = (status: DssStatus): number =>
    Math.min(...sinks.map((sink) => status.sinks[sink]?.confirmedChanges ?? 0));
  const isEnough = (status: DssStatus): boolean => {
    samples.push({ atMs: Date.now(), value: status.sinks.mongo?.confirmedChanges ?? 0 });
    if (performance.now() - told > 2_000) {
      told = performance.now();
      say(`${confirmed(status)} of ${rows} rows delivered (DSS is ${status.state})`);
    }
    return confirmed(status) >= rows;
  };
  await environment.watch(dss, sinks.includes('mongo') ? MONGO_POLL_MS : KAFKA_ONLY_POLL_MS, isEnough, confirmed);
  return samples;
}

async function assertCounts(environment: BenchEnvironment, topic: KafkaTopic | null, rows: number): Promise<void> {
  const { stack, mongoDatabase, collection, sinks } = environment;
  const messages = topic === null ? rows : await topic.count();
  const documents = sinks.includes('mongo')
    ? await withMongo(stack.url('mongo'), (client) => client.db(mongoDatabase).collection(collection).countDocuments())
    : rows;
  if (messages === rows && documents === rows) return;
  throw new DittoError('DITTO_BENCH_WRONG_COUNT', `The sinks do not hold the ${rows} rows that were written.`, {
    context: { rows, messages, documents },
  });
}

function requireDelivery(delivery: Delivery | null): Delivery {
  if (delivery === null) throw new DittoError('DITTO_BENCH_WRONG_COUNT', 'DSS has not confirmed every row.');
  return delivery;
}

interface Facts {
  readonly rows: number;
  readonly startedAtMs: number;
  readonly usage: ProcessUsage;
  readonly peakRssBytes: number;
}

function summarize(bySink: ReadonlyMap<BenchSink, Delivery>, facts: Facts): DeliveryResult {
  const { rows, startedAtMs, usage, peakRssBytes } = facts;
  const delivery = combineDeliveries([...bySink.values()]);
  const { firstMs, halfMs, rowsAtHalf, lastMs } = delivery;
  const bySinkRates = Object.fromEntries([...bySink].map(([sink, one]) => [sink, wholeRate(one, rows)]));
  return {
    rowsPerSecond: wholeRate(delivery, rows),
    secondHalfRowsPerSecond: rateOf(rows - rowsAtHalf, lastMs - halfMs),
    cpuMicrosPerRow: round(usage.cpuMicrosBetween(firstMs, lastMs) / rows, 2),
    peakRssBytes,
    deliveryMs: lastMs - firstMs,
    startToFirstRowMs: firstMs - startedAtMs,
    ...(bySink.size > 1 && { rowsPerSecondBySink: bySinkRates }),
  };
}

/** What had arrived at the first moment came before it, and doesn't count as done in the time since. */
function wholeRate({ firstMs, rowsAtFirst, lastMs }: Delivery, rows: number): number {
  return rateOf(rows - rowsAtFirst, lastMs - firstMs);
}
