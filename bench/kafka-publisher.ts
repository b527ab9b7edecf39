// Rate and CPU of the Kafka publisher alone: synthetic creates of the ten-column table, encoded, sent and confirmed.
// CPU is this process's own, user and system, without what making the rows costs.
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { type RowChanges, type TableLayout, type TransactionInfo, ValueImages, versionPrefix } from '#change-events';
import {
  KafkaJsClient,
  KafkaPublisher,
  PartitionCountStore,
  PlatformaticKafkaClient,
  type KafkaCompression,
} from '#kafka';
import { QuarantinedKeys } from '#replication';
import { silentLogger, sleep } from '#kernel';
import { readPeakRssBytes } from './process-usage.ts';
import { createLayout, createRow } from './workload.ts';

const ROWS_PER_ACCEPT = 500;
const MAX_BYTES_IN_FLIGHT = 16 * 1024 * 1024;

function createTransaction(layout: TableLayout, first: number): RowChanges {
  const offset = 4 + first * 170;
  const transaction: TransactionInfo = {
    gtid: `3e11fa47-71ca-11e1-9e33-c80aa9429562:${1 + first / ROWS_PER_ACCEPT}`,
    serverId: 1,
    serverUuid: '3e11fa47-71ca-11e1-9e33-c80aa9429562',
    file: 'binlog.000001',
    offset,
    commitMicros: Date.now() * 1000,
    versionPrefix: versionPrefix(1, 'binlog.000001', offset),
  };
  const rows = Array.from({ length: ROWS_PER_ACCEPT }, (_, index) => createRow(first + index));
  return {
    op: 'create',
    layout,
    count: ROWS_PER_ACCEPT,
    before: null,
    after: new ValueImages(layout, rows),
    transaction,
    firstRowIndex: 0,
    readSequence: 0,
    windowId: null,
  };
}

class NoCounts extends PartitionCountStore {
  override load(): Promise<null> {
    return Promise.resolve(null);
  }
  override save(): Promise<void> {
    return Promise.resolve();
  }
}

interface Settings {
  readonly brokers: readonly string[];
  readonly client: string;
  readonly compression: KafkaCompression;
  readonly rows: number;
  readonly partitions: number;
  readonly batch: number;
}

async function publish(publisher: KafkaPublisher, layout: TableLayout, rows: number): Promise<void> {
  for (let first = 0; first < rows; first += ROWS_PER_ACCEPT) {
    publisher.accept(createTransaction(layout, first), { acknowledge: () => undefined });
    publisher.flush();
    while (publisher.status().bytesInFlight > MAX_BYTES_IN_FLIGHT) await sleep(1);
    if (first % (ROWS_PER_ACCEPT * 4) === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await publisher.drain(new AbortController().signal);
}

/** What making the rows costs, so that it can be taken off. */
function measureCreation(layout: TableLayout, rows: number): number {
  const began = process.cpuUsage();
  for (let first = 0; first < rows; first += ROWS_PER_ACCEPT) createTransaction(layout, first);
  const { user, system } = process.cpuUsage(began);
  return user + system;
}

async function measure(settings: Settings): Promise<Record<string, unknown>> {
  const { brokers, compression, rows, partitions, batch } = settings;
  const Client = settings.client === 'kafkajs' ? KafkaJsClient : PlatformaticKafkaClient;
  const client = new Client({ brokers, clientId: 'bench', logger: silentLogger, compression });
  const topics = { partitions, replicationFactor: 1 };
  const publisher = new KafkaPublisher({
    client,
    source: 'bench',
    version: '0',
    logger: silentLogger,
    counts: new NoCounts(),
    topics,
    maxBatchMessages: batch,
  });
  await publisher.open({
    mayDeliver: () => true,
    refuse: (_refused, error) => Promise.reject(error),
    quarantined: new QuarantinedKeys(),
    signal: new AbortController().signal,
    onFatal: (error) => {
      throw error;
    },
  });
  const layout = createLayout('bench', `t${Date.now()}`);
  await publisher.prepareTable(layout);
  await publish(publisher, layout, 50_000);
  const creationMicros = measureCreation(layout, rows);
  const began = performance.now();
  const cpu = process.cpuUsage();
  await publish(publisher, layout, rows);
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  await publisher.close();
  return {
    bench: 'kafka-publisher',
    rows,
    rowsPerSecond: Math.round(rows / seconds),
    cpuMicrosPerRow: Number(((user + system - creationMicros) / rows).toFixed(2)),
    peakRssBytes: readPeakRssBytes(process.pid),
    settings: {
      client: settings.client,
      compression,
      partitions,
      batch,
      rowsPerAccept: ROWS_PER_ACCEPT,
      maxBytesInFlight: MAX_BYTES_IN_FLIGHT,
    },
    machine: { cores: availableParallelism(), model: cpus()[0]?.model ?? '', node: process.version },
  };
}

export const PUBLISH_USAGE = `usage: npm run --silent bench -- publish --brokers host:port [options]
  --client platformatic,kafkajs   --compression none,lz4,zstd   --rows N (300000)   --partitions N (4)   --batch N (2000)
  Each list is measured throughout: one line for each client, compression and batch size.
`;

/** Returns the exit code. */
export async function runPublish(
  args: readonly string[],
  onResult: (result: Readonly<Record<string, unknown>>) => void,
): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      brokers: { type: 'string' },
      client: { type: 'string', default: 'platformatic,kafkajs' },
      compression: { type: 'string', default: 'none,lz4,zstd' },
      rows: { type: 'string', default: '300000' },
      partitions: { type: 'string', default: '4' },
      batch: { type: 'string', default: '2000' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help || values.brokers === undefined) {
    process.stderr.write(PUBLISH_USAGE);
    return values.help ? 0 : 2;
  }
  const brokers = values.brokers.split(',');
  const [rows, partitions] = [Number(values.rows), Number(values.partitions)];
  for (const client of values.client.split(','))
    for (const compression of values.compression.split(',') as KafkaCompression[])
      for (const batch of values.batch.split(',').map(Number))
        onResult(await measure({ brokers, client, compression, rows, partitions, batch }));
  return 0;
}
