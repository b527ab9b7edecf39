import { fetchV12 } from '@platformatic/kafka';
import { afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';

import { changeVersion, topicName } from '#change-events';
import { silentLogger } from '#kernel';
import { acceptChanges, openSink, testStack, uniqueName } from '#testing';

import { KafkaPublisher, KeyHistory, PlatformaticKafkaClient, TopicReader } from '../src/index.ts';
import { createChange, createLayout, createRows, createTransaction } from './changes.ts';
import { MemoryPartitionCounts } from './memory-partition-counts.ts';

const never = new AbortController().signal;
let brokers: string[] = [];
const endings: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  brokers = (await testStack()).url('kafka').split(',');
});

afterEach(async () => {
  for (const end of endings.splice(0)) await end();
});

function openReader(): TopicReader {
  const reader = new TopicReader({ brokers, clientId: 'history', logger: silentLogger });
  endings.push(() => reader.close());
  return reader;
}

async function openPublisher(source: string): Promise<KafkaPublisher> {
  const publisher = new KafkaPublisher({
    client: new PlatformaticKafkaClient({ brokers, clientId: 'history', logger: silentLogger }),
    source,
    version: '0',
    logger: silentLogger,
    counts: new MemoryPartitionCounts(),
    topics: { partitions: 3, replicationFactor: 1 },
  });
  await openSink(publisher);
  endings.push(() => publisher.close());
  return publisher;
}

describe('KeyHistory', () => {
  it('gives the last messages of a key, newest first, with the end of the table, and of no other key', async () => {
    const source = uniqueName('src');
    const layout = createLayout('orders');
    const publisher = await openPublisher(source);
    await publisher.prepareTable(layout);
    const row = [7, 'a'];
    const update = createChange({ op: 'update', layout, before: row, after: [7, 'b'], transaction: 2 });
    const noise = createRows(layout, 2_000).map((change) => ({ ...change, transaction: createTransaction(3) }));
    const others = noise.filter(({ after }) => after?.[0] !== 7);
    const removal = createChange({ op: 'delete', layout, before: [7, 'b'], transaction: 4 });
    const created = createChange({ op: 'create', layout, after: row });
    acceptChanges(publisher, [created, update, ...others, removal], { acknowledge: () => undefined });
    await publisher.drain(AbortSignal.timeout(20_000));
    const truncate = { op: 'truncate', layout, transaction: createTransaction(5), rowIndex: 0 } as const;
    await publisher.applyTableChange(truncate);

    const history = new KeyHistory(openReader());
    const request = { topic: topicName(source, 'shop', 'orders'), key: '{"id":7}', limit: 100, maxMessages: 100_000 };
    const { messages, isComplete } = await history.read(request, never);
    expect(messages.map(({ op }) => op)).toEqual(['t', null, 'd', 'u', 'c']);
    expect(messages.map(({ version }) => version)).toEqual(
      [truncate, removal, removal, update, created].map((change) => changeVersion(change)),
    );
    expect(isComplete).toBe(true);
    expect(messages.map(({ offset }) => offset)).toEqual(
      messages.map(({ offset }) => offset).toSorted((a, b) => b - a),
    );
    expect(new Set(messages.map(({ partition }) => partition)).size).toBe(1);
    expect(messages[1]?.value).toBeNull();
    expect(messages[3]?.value?.toString()).toContain('"after":{"id":7,"name":"b"}');
    expect(messages[3]?.id).toMatch(/:2\/0$/);
    expect(Math.abs(Date.now() - (messages[0]?.publishedMs ?? 0))).toBeLessThan(3_600_000);

    const newest = await history.read({ ...request, limit: 2 }, never);
    expect(newest).toEqual({ messages: messages.slice(0, 2), isComplete: false });
    const near = await history.read({ ...request, maxMessages: 10 }, never);
    expect(near).toEqual({ messages: messages.slice(0, 3), isComplete: false });
  }, 60_000);

  it('leaves out no message when a broker answers before it has read any', async () => {
    const source = uniqueName('src');
    const layout = createLayout('orders');
    const publisher = await openPublisher(source);
    await publisher.prepareTable(layout);
    const created = createChange({ op: 'create', layout, after: [7, 'a'] });
    acceptChanges(publisher, [created], { acknowledge: () => undefined });
    await publisher.drain(AbortSignal.timeout(20_000));
    const request = { topic: topicName(source, 'shop', 'orders'), key: '{"id":7}', limit: 100, maxMessages: 100 };
    const fetch = jest.spyOn(fetchV12.api, 'async');
    const history = new KeyHistory(openReader());
    for (const times of [1, 3]) {
      for (let i = 0; i < times; i++) fetch.mockResolvedValueOnce({ responses: [] } as never);
      expect((await history.read(request, never)).messages).toHaveLength(1);
    }
    // one that never gives it is to be asked again, not taken at its word
    fetch.mockResolvedValue({ responses: [] } as never);
    await expect(history.read(request, never)).rejects.toMatchObject({ retriable: true });
    fetch.mockRestore();
  }, 60_000);

  it('gives nothing of a topic that is not there', async () => {
    const history = new KeyHistory(openReader());
    const request = { topic: uniqueName('none'), key: '{"id":1}', limit: 1, maxMessages: 10 };
    expect(await history.read(request, never)).toEqual({ messages: [], isComplete: true });
  }, 60_000);
});
