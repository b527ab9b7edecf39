// A publisher of 1,000 tables with 12 partitions whose broker takes connections and reads nothing: prints what it counts
// and what it holds. usage: node --expose-gc --conditions=source libs/kafka/test/stuck-publisher.ts [most bytes in flight]
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';

import { type Connection } from '@platformatic/kafka';

import { type TableLayout, ValueImages } from '#change-events';
import { silentLogger } from '#kernel';
import { QuarantinedKeys } from '#replication';

import { KafkaClient, type TopicDescription } from '../src/kafka-client.ts';
import { KafkaPublisher } from '../src/kafka-publisher.ts';
import { PartitionProducer } from '../src/partition-producer.ts';
import { ProduceChannel } from '../src/produce-channel.ts';
import { type RecordBatch } from '../src/record-batch.ts';
import { createLayout, createTransaction } from './changes.ts';
import { MemoryPartitionCounts } from './memory-partition-counts.ts';

const TABLES = 1_000;
const PARTITIONS = 12;
/** So many that few partitions get none. */
const ROWS_OF_TABLE = 24;

/** Producers and channel as they are in use; only the brokers' answers about topics are made up. */
class StuckClient extends KafkaClient {
  readonly #channel: ProduceChannel;
  readonly #producers = new Map<string, PartitionProducer>();

  constructor(channel: ProduceChannel) {
    super();
    this.#channel = channel;
  }

  override produce(topic: string, partition: number, batch: RecordBatch): Promise<number | null> {
    const key = `${topic}/${partition}`;
    let producer = this.#producers.get(key);
    if (producer === undefined) {
      producer = new PartitionProducer({
        topic,
        partition,
        compression: 'none',
        identity: () => Promise.resolve({ producerId: 1n, producerEpoch: 0 }),
        send: (name, index, bytes) => this.#channel.send({ topic: name, partition: index, batch: bytes }),
      });
      this.#producers.set(key, producer);
    }
    return producer.produce(batch);
  }

  override ensureTopic(): Promise<TopicDescription> {
    const settings = { cleanupPolicy: 'compact', minInSyncReplicas: 2, maxMessageBytes: 1_048_588 };
    return Promise.resolve({ partitions: PARTITIONS, replicationFactor: 3, ...settings });
  }
  override connect(): Promise<void> {
    return Promise.resolve();
  }
  override partitionCount(): Promise<number | null> {
    return Promise.resolve(PARTITIONS);
  }
  override close(): Promise<void> {
    return Promise.resolve();
  }
}

function accept(publisher: KafkaPublisher, layout: TableLayout, number: number): void {
  const rows = Array.from({ length: ROWS_OF_TABLE }, (_, index) => [index, `the row with number ${index}`]);
  const after = new ValueImages(layout, rows);
  const place = { transaction: createTransaction(number), firstRowIndex: 0, readSequence: 0, windowId: null };
  publisher.accept({ op: 'create', layout, count: ROWS_OF_TABLE, before: null, after, ...place }, { acknowledge });
}

function acknowledge(): void {
  throw new Error('nothing was confirmed');
}

interface Held {
  readonly rss: number;
  readonly buffers: number;
  readonly heap: number;
}

function held(): Held {
  globalThis.gc?.();
  const { rss, arrayBuffers, heapUsed } = process.memoryUsage();
  return { rss, buffers: arrayBuffers, heap: heapUsed };
}

const most = Number(process.argv[2] ?? 'Infinity');
const server = createServer((socket) => socket.pause());
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
await once(socket, 'connect');
socket.on('data', () => undefined);
const timeouts = { clientId: 'test', serverTimeoutMs: 60_000, requestTimeoutMs: 60_000 };
const publisher = new KafkaPublisher({
  client: new StuckClient(new ProduceChannel({ socket } as Connection, timeouts)),
  source: 'stuck',
  version: '0',
  logger: silentLogger,
  counts: new MemoryPartitionCounts(),
  topics: { partitions: PARTITIONS, replicationFactor: 3 },
});
const { signal } = new AbortController();
await publisher.open({
  mayDeliver: () => true,
  refuse: (_refused, error) => Promise.reject(error),
  quarantined: new QuarantinedKeys(),
  onFatal: () => process.exit(1),
  signal,
});
const layouts = Array.from({ length: TABLES }, (_, index) => createLayout(`table_${index}`));
for (const layout of layouts) await publisher.prepareTable(layout);

const before = held();
let taken = 0;
while (taken < TABLES && publisher.bytesInFlight <= most) {
  accept(publisher, layouts[taken] as TableLayout, ++taken);
  publisher.flush();
  await new Promise(setImmediate);
}
const after = held();
const { changesInFlight, bytesInFlight } = publisher.status();
const growth = { rss: after.rss - before.rss, buffers: after.buffers - before.buffers, heap: after.heap - before.heap };
process.stdout.write(JSON.stringify({ tables: taken, changesInFlight, counted: bytesInFlight, growth }));
process.exit(0);
