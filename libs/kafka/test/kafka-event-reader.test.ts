import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import { silentLogger } from '#kernel';
import { acceptChanges, eventually, openSink, testStack, uniqueName } from '#testing';

import {
  KafkaEventReader,
  type KafkaEventReaderRun,
  KafkaPublisher,
  parsePublishedEvent,
  PlatformaticKafkaClient,
  type PublishedEvent,
} from '../src/index.ts';
import { createChange, createLayout, createRows } from './changes.ts';
import { MemoryPartitionCounts } from './memory-partition-counts.ts';

let brokers: string[] = [];
const endings: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  brokers = (await testStack()).url('kafka').split(',');
});

afterEach(async () => {
  for (const end of endings.splice(0)) await end();
});

async function openPublisher(source: string): Promise<KafkaPublisher> {
  const client = new PlatformaticKafkaClient({ brokers, clientId: 'test', logger: silentLogger });
  const topics = { partitions: 1, replicationFactor: 1 };
  const publisher = new KafkaPublisher({
    client,
    source,
    version: '0',
    logger: silentLogger,
    counts: new MemoryPartitionCounts(),
    topics,
  });
  await openSink(publisher);
  endings.push(() => publisher.close());
  return publisher;
}

function startReader(
  source: string,
  options: Partial<KafkaEventReaderRun<PublishedEvent>> = {},
): { events: PublishedEvent[]; reader: KafkaEventReader } {
  const reader = new KafkaEventReader({ brokers, clientId: 'reader', logger: silentLogger });
  const events: PublishedEvent[] = [];
  const stop = new AbortController();
  const topics = new RegExp(`^${source}\\.`);
  const onEvents = (received: readonly PublishedEvent[]): Promise<void> => {
    events.push(...received);
    return Promise.resolve();
  };
  const ended = reader.run(
    {
      groupId: uniqueName('group'),
      topics,
      maxEventsPerSecond: 2_000,
      topicRefreshMs: 300,
      read: parsePublishedEvent,
      onEvents,
      ...options,
    },
    stop.signal,
  );
  endings.push(() => {
    stop.abort();
    return ended;
  });
  return { events, reader };
}

describe('KafkaEventReader', () => {
  it('gives what was published, in order, also from topics that come later, and leaves out tombstones', async () => {
    const source = uniqueName('src');
    const publisher = await openPublisher(source);
    const { events, reader } = startReader(source);
    const layout = createLayout('orders');
    await publisher.prepareTable(layout);
    const deletion = createChange({ op: 'delete', layout, before: [3, 'n3'], transaction: 2 });
    acceptChanges(publisher, [...createRows(layout, 30), deletion], { acknowledge: () => undefined });
    await eventually(() => events.length >= 31);
    expect(events.map(({ op }) => op).join('')).toBe(`${'c'.repeat(30)}d`);
    expect(events[30]).toMatchObject({
      key: '{"id":3}',
      source,
      database: 'shop',
      table: 'orders',
      gtid: expect.stringMatching(/:2$/),
      offset: 30,
    });
    expect(events[30]?.id).toMatch(/:2\/0$/);
    await eventually(() => reader.status().lagMessages <= 1);
    expect(reader.status()).toMatchObject({ deliveredEvents: 31, jumpedMessages: 0, topics: 1, holdingBecause: null });
  }, 40_000);

  it('jumps forward when it is too far behind and reports how much it left out', async () => {
    const source = uniqueName('src');
    const publisher = await openPublisher(source);
    const layout = createLayout('orders');
    await publisher.prepareTable(layout);
    acceptChanges(publisher, createRows(layout, 5_000), { acknowledge: () => undefined });
    await publisher.drain(AbortSignal.timeout(10_000));
    let jumped = 0;
    const { events, reader } = startReader(source, {
      maxEventsPerSecond: 100,
      onJump: ({ count }) => (jumped += count),
    });
    await eventually(() => events.length >= 100);
    expect(jumped).toBe(4_900);
    expect(events.map(({ offset }) => offset)).toEqual(Array.from({ length: 100 }, (_, index) => 4_900 + index));
    expect(reader.status()).toMatchObject({ jumpedMessages: 4_900 });
  }, 40_000);

  it('keeps to its rate', async () => {
    const source = uniqueName('src');
    const publisher = await openPublisher(source);
    const layout = createLayout('orders');
    await publisher.prepareTable(layout);
    acceptChanges(publisher, createRows(layout, 300), { acknowledge: () => undefined });
    const began = performance.now();
    const { events } = startReader(source, { maxEventsPerSecond: 100, maxLagEvents: 1_000 });
    await eventually(() => events.length >= 300);
    expect(performance.now() - began).toBeGreaterThan(1_900);
  }, 40_000);
});
