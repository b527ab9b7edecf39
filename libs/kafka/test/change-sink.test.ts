import { afterEach, beforeAll, describe, it } from '@jest/globals';

import { type Row, type TableLayout, topicName } from '#change-events';
import { DittoError, silentLogger } from '#kernel';
import { CHANGE_SINK_CONTRACT, openSink, type SinkUnderContract, testStack, uniqueName } from '#testing';

import { KafkaPublisher, PlatformaticKafkaClient } from '../src/index.ts';
import { MemoryPartitionCounts } from './memory-partition-counts.ts';
import { readTopic } from './read-topic.ts';

let brokers: string[] = [];
const closers: (() => Promise<void>)[] = [];

beforeAll(async () => {
  brokers = (await testStack()).url('kafka').split(',');
});

afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** Brokers advertise their own addresses, so it is the client that loses them. */
class CutOffClient extends PlatformaticKafkaClient {
  isCutOff = false;

  override produce(...call: Parameters<PlatformaticKafkaClient['produce']>): Promise<number | null> {
    if (!this.isCutOff) return super.produce(...call);
    return Promise.reject(new DittoError('DITTO_KAFKA_UNAVAILABLE', 'cut off', { retriable: true }));
  }
}

function makeKafka(): SinkUnderContract {
  const source = uniqueName('src');
  const client = new CutOffClient({ brokers, clientId: 'test', logger: silentLogger, compression: 'none' });
  const topicOf = ({ database, table }: TableLayout): string => topicName(source, database, table);
  return {
    open: async (options) => {
      const publisher = new KafkaPublisher({
        client,
        source,
        version: '0.1.0',
        logger: silentLogger,
        counts: new MemoryPartitionCounts(),
        topics: { partitions: 3, replicationFactor: 1 },
        schemaChanges: true,
      });
      closers.push(() => publisher.close());
      await openSink(publisher, options);
      return publisher;
    },
    has: async (layout) => (await client.partitionCount(topicOf(layout))) !== null,
    rows: async (layout) => collectRows(await readTopic(brokers, topicOf(layout))),
    cutOff: () => (client.isCutOff = true),
    reconnect: () => (client.isCutOff = false),
  };
}

interface Envelope {
  readonly op: string;
  readonly after: { readonly id: number; readonly note: string } | null;
}

/** As a reader of the topic keeps a table of its own. */
function collectRows(messages: Awaited<ReturnType<typeof readTopic>>): Row[] {
  const partitions = new Map<number, Map<string, Row>>();
  for (const { partition, key, value } of messages) {
    const rows = partitions.get(partition) ?? new Map<string, Row>();
    partitions.set(partition, rows);
    const { op, after } = value === null ? { op: 'd', after: null } : (JSON.parse(value) as Envelope);
    if (op === 't') rows.clear();
    else if (after === null) rows.delete(String(key));
    else rows.set(String(key), [after.id, after.note]);
  }
  return [...partitions.values()].flatMap((rows) => [...rows.values()]);
}

describe('KafkaPublisher', () => {
  it.each(Object.entries(CHANGE_SINK_CONTRACT))('%s', (_promise, keeps) => keeps(makeKafka()), 60_000);
});
