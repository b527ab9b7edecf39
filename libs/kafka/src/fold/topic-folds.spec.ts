import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { silentLogger, sleep } from '#kernel';
import { createChange, createLayout } from '../../test/changes.ts';
import { FakePartitions, messagesOf } from '../../test/fake-partitions.ts';
import { type TopicReader } from '../topic-reader.ts';
import { TopicFolds } from './topic-folds.ts';

const never = new AbortController().signal;
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ditto-folds-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** Every topic has 400 keys. */
function open(maxBytes: number): TopicFolds {
  const layout = createLayout('orders');
  const topic = new FakePartitions(1);
  for (let id = 0; id < 400; id++)
    topic.append(
      0,
      ...messagesOf(createChange({ op: 'create', layout, after: [id, 'x'.repeat(200)] }), `{"id":${id}}`),
    );
  const reader = {
    findExtent: () => topic.findExtent(),
    readSettings: () => topic.readSettings(),
    async *readForwards(...[, ...request]: Parameters<TopicReader['readForwards']>) {
      for await (const page of topic.readForwards('t', ...request)) {
        await sleep(1, never);
        yield page;
      }
    },
  };
  return new TopicFolds({ reader: reader as unknown as TopicReader, folder, maxBytes, logger: silentLogger });
}

it('lets a topic wait for room that another one in use has, and gives up one that is too large alone', async () => {
  const roomy = open(2 ** 30);
  const bytes = await roomy.use('a', never, (store) => store?.bytes ?? 0);
  await roomy.close();

  const folds = open(Math.ceil(bytes * 1.5));
  const count = (name: string) => folds.use(name, never, (store) => store?.list(null, 1000).length);
  const both = await Promise.allSettled([count('a'), count('b')]);
  const failed = both.filter((one) => one.status === 'rejected');
  expect(failed).toMatchObject([{ reason: { code: 'DITTO_KAFKA_FOLDS_FULL', retriable: true } }]);
  expect([await count('a'), await count('b')]).toEqual([400, 400]);
  await folds.close();

  const small = open(Math.floor(bytes / 2));
  await expect(small.use('a', never, () => null)).rejects.toMatchObject({ code: 'DITTO_VERIFICATION_NOT_POSSIBLE' });
  await small.close();
}, 30_000);

it('gives a use that must not evict only the room that is left', async () => {
  const roomy = open(2 ** 30);
  const bytes = await roomy.use('a', never, (store) => store?.bytes ?? 0);
  await roomy.close();

  const folds = open(Math.ceil(bytes * 1.5));
  const count = (name: string, mayEvict: boolean) =>
    folds.use(name, never, (store) => store?.list(null, 1000).length, { mayEvict });
  expect(await count('a', false)).toBe(400);
  const messages = folds.status().get('a')?.messages;
  const both = await Promise.allSettled([count('b', false), count('b', false)]);
  const refusal = { status: 'rejected', reason: { code: 'DITTO_VERIFICATION_NOT_POSSIBLE' } };
  expect(both).toMatchObject([refusal, refusal]);
  // the store of the other topic stays, what was begun goes, and it is not begun again soon
  expect([...folds.status().keys()]).toEqual(['a']);
  expect(await count('a', false)).toBe(400);
  expect(folds.status().get('a')?.messages).toBe(messages);
  await expect(count('b', false)).rejects.toMatchObject({ code: 'DITTO_VERIFICATION_NOT_POSSIBLE' });
  expect(await count('b', true)).toBe(400);
  expect([...folds.status().keys()]).toEqual(['b']);
  expect(await count('b', false)).toBe(400);
  await folds.close();
}, 30_000);

it('logs what is out of order, and keeps its number', async () => {
  const layout = createLayout('orders');
  const topic = new FakePartitions(1);
  const append = (transaction: number): void =>
    topic.append(0, ...messagesOf(createChange({ op: 'create', layout, after: [1, 'a'], transaction }), '{"id":1}'));
  for (const transaction of [1, 2, 3, 2, 4]) append(transaction);
  const lines: (readonly [string, unknown])[] = [];
  const logger = { ...silentLogger, warn: (text: string, details: unknown) => lines.push([text, details]) };
  const folds = new TopicFolds({ reader: topic as unknown as TopicReader, folder, maxBytes: 2 ** 30, logger });
  await folds.use('a', never, () => null);
  expect(lines).toEqual([
    ['a message of a topic is out of order', expect.objectContaining({ topic: 'a', key: '{"id":1}', offset: 4 })],
  ]);
  expect(folds.status().get('a')?.outOfOrder).toBe(1);
  await folds.close();
});
