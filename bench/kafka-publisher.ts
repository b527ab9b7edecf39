// Rate and CPU of the Kafka publisher alone: synthetic creates of the ten-column table, encoded, sent and confirmed.
// usage: node --conditions=source bench/kafka-publisher.ts --brokers host:port [--client platformatic,kafkajs]
//        [--compression none,lz4,zstd] [--rows N] [--partitions N] [--batch N]
// One JSON line per result on standard output. CPU is this process's own, user and system.
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';

import {
  type Column,
  type ColumnKind,
  type Row,
  type RowChange,
  type TableLayout,
  type TransactionInfo,
  versionPrefix,
} from '#change-events';
import {
  KafkaJsClient,
  KafkaPublisher,
  PartitionCountStore,
  PlatformaticKafkaClient,
  type KafkaCompression,
} from '#kafka';
import { silentLogger, sleep } from '#kernel';

const rowsPerAccept = 500;
const maxBytesInFlight = 16 * 1024 * 1024;

function column(name: string, kind: ColumnKind, type: string, detail: Partial<Column> = {}): Column {
  return { name, kind, type, unsigned: false, precision: 0, scale: 0, length: 0, charset: null, labels: [], ...detail };
}

function createLayout(table: string): TableLayout {
  const columns = [
    column('id', 'bigint', 'bigint', { unsigned: true }),
    column('customer_id', 'integer', 'int'),
    column('status', 'integer', 'tinyint'),
    column('ref', 'text', 'varchar', { length: 32, charset: 'utf8mb4' }),
    column('sku', 'text', 'varchar', { length: 24, charset: 'utf8mb4' }),
    column('amount', 'decimal', 'decimal', { precision: 18, scale: 4 }),
    column('quantity', 'integer', 'int', { unsigned: true }),
    column('placed_at', 'datetime', 'datetime', { scale: 6 }),
    column('updated_at', 'timestamp', 'timestamp', { scale: 3 }),
    column('note', 'text', 'text', { charset: 'utf8mb4' }),
  ];
  return { database: 'bench', table, columns, key: [0], fingerprint: `${table} ten columns` };
}

const note = 'A remark of about eighty characters, as people write them next to an order line.';

function createRow(id: number): Row {
  const micros = String(id % 1_000_000).padStart(6, '0');
  return [
    id,
    id % 50_000,
    id % 7,
    `REF-${(id * 2_654_435_761) % 4_294_967_296}-${id}`,
    `SKU-${id % 9_973}`,
    `${id % 100_000}.${String(id % 10_000).padStart(4, '0')}`,
    1 + (id % 40),
    `2026-02-03T04:05:06.${micros}`,
    `2026-02-03T04:05:06.${micros.slice(0, 3)}Z`,
    `${note.slice(id % 20)} ${id}`,
  ];
}

function createTransaction(layout: TableLayout, first: number): readonly RowChange[] {
  const offset = 4 + first * 170;
  const transaction: TransactionInfo = {
    gtid: `3e11fa47-71ca-11e1-9e33-c80aa9429562:${1 + first / rowsPerAccept}`,
    serverId: 1,
    serverUuid: '3e11fa47-71ca-11e1-9e33-c80aa9429562',
    file: 'binlog.000001',
    offset,
    commitMicros: Date.now() * 1000,
    versionPrefix: versionPrefix(1, 'binlog.000001', offset),
  };
  return Array.from({ length: rowsPerAccept }, (_, index) => ({
    op: 'create',
    layout,
    before: null,
    after: createRow(first + index),
    transaction,
    rowIndex: index,
    readSequence: 0,
    windowId: null,
  }));
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
  for (let first = 0; first < rows; first += rowsPerAccept) {
    publisher.accept(createTransaction(layout, first), { acknowledge: () => undefined });
    while (publisher.status().bytesInFlight > maxBytesInFlight) await sleep(1);
    if (first % (rowsPerAccept * 4) === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await publisher.drain(new AbortController().signal);
}

/** What making the rows costs, so that it can be taken off. */
function measureCreation(layout: TableLayout, rows: number): number {
  const began = process.cpuUsage();
  for (let first = 0; first < rows; first += rowsPerAccept) createTransaction(layout, first);
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
    signal: new AbortController().signal,
    onFatal: (error) => {
      throw error;
    },
  });
  const layout = createLayout(`t${Date.now()}`);
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
    rssBytes: process.memoryUsage.rss(),
    settings: { client: settings.client, compression, partitions, batch, rowsPerAccept, maxBytesInFlight },
    machine: { cores: availableParallelism(), model: cpus()[0]?.model ?? '', node: process.version },
  };
}

const { values } = parseArgs({
  options: {
    brokers: { type: 'string' },
    client: { type: 'string', default: 'platformatic,kafkajs' },
    compression: { type: 'string', default: 'none,lz4,zstd' },
    rows: { type: 'string', default: '300000' },
    partitions: { type: 'string', default: '4' },
    batch: { type: 'string', default: '2000' },
  },
});
if (values.brokers === undefined) throw new Error('Give --brokers host:port of a running Kafka.');
for (const client of values.client.split(','))
  for (const compression of values.compression.split(',') as KafkaCompression[])
    for (const batch of values.batch.split(',').map(Number)) {
      const sizes = { rows: Number(values.rows), partitions: Number(values.partitions), batch };
      process.stdout.write(
        `${JSON.stringify(await measure({ brokers: values.brokers.split(','), client, compression, ...sizes }))}\n`,
      );
    }
