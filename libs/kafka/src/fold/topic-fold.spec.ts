import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { changeVersion, type RowChange } from '#change-events';
import { DittoError } from '#kernel';

import { createChange, createLayout, createTransaction } from '../../test/changes.ts';
import { endingOf, FakePartitions, messagesOf } from '../../test/fake-partitions.ts';
import { toKafkaError } from '../kafka-errors.ts';
import { TopicFold, type TopicFoldOptions } from './topic-fold.ts';

const never = new AbortController().signal;
const layout = createLayout('orders');
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ditto-fold-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

const keyOf = (id: number): string => `{"id":${id}}`;
/** The row `id` as transaction `transaction` left it; null: deleted. */
function change(id: number, transaction: number, name: string | null = 'a'): RowChange {
  return name === null
    ? createChange({ op: 'delete', layout, before: [id, 'a'], transaction })
    : createChange({ op: 'create', layout, after: [id, name], transaction });
}
const message = (id: number, transaction: number, name?: string | null) =>
  messagesOf(change(id, transaction, name), keyOf(id));
const versionAt = (transaction: number): string => changeVersion(change(1, transaction));
const ending = (transaction: number) =>
  endingOf({ op: 'truncate', layout, transaction: createTransaction(transaction), rowIndex: 0 });

interface World {
  readonly topic: FakePartitions;
  readonly fold: TopicFold;
  nowMs: number;
  /** Keys that are there, with the transaction of their last message. */
  keys(): Promise<Record<string, string>>;
}

function open(partitions = 1, topic = new FakePartitions(partitions), options: Partial<TopicFoldOptions> = {}): World {
  const clock = { nowMs: 1_000_000 };
  const fold = new TopicFold({
    ...{ reader: topic, topic: 'eu.shop.orders', path: join(folder, 'store'), makeRoom: () => undefined },
    nowMs: () => clock.nowMs,
    ...options,
  });
  const keys = (): Promise<Record<string, string>> =>
    fold.use(never, (store) =>
      Object.fromEntries(
        (store?.list(null, 100) ?? []).map((key) => [String(key), `${store?.find(key)?.version?.slice(16, 28)}`]),
      ),
    );
  return Object.assign(clock, { topic, fold, keys });
}

const at = (transaction: number): string => versionAt(transaction).slice(16, 28);

describe('TopicFold', () => {
  it('keeps the last message of each key, without deleted ones, and then reads what is new only', async () => {
    const { topic, keys } = open(2);
    topic.append(0, ...message(1, 1), ...message(2, 2), ...message(1, 3), ...message(2, 4, null));
    topic.append(1, ...message(3, 5));
    expect(await keys()).toEqual({ [keyOf(1)]: at(3), [keyOf(3)]: at(5) });
    expect(topic.read).toBe(6);
    topic.append(0, ...message(2, 6));
    expect(await keys()).toEqual({ [keyOf(1)]: at(3), [keyOf(2)]: at(6), [keyOf(3)]: at(5) });
    expect(topic.read).toBe(7);
  });

  it('keeps the delete rather than its tombstone, and the tombstone where the delete is gone', async () => {
    const { topic, fold } = open();
    topic.append(0, ...message(1, 1), ...message(1, 2, null), ...message(2, 3, null));
    topic.compactAway(0, 3);
    const found = await fold.use(never, (store) => [1, 2].map((id) => store?.find(Buffer.from(keyOf(id)))));
    expect(found).toMatchObject([
      { op: 'd', version: versionAt(2) },
      { op: null, value: null, version: versionAt(3) },
    ]);
  });

  it('ends the older keys of a partition with a `t`, which is remembered, and no newer one', async () => {
    const { topic, fold, keys } = open(2);
    topic.append(0, ...message(1, 1), ending(3), ...message(2, 4));
    topic.append(1, ...message(3, 2), ...message(4, 5), ending(3), ending(1));
    expect(await keys()).toEqual({ [keyOf(2)]: at(4), [keyOf(4)]: at(5) });
    const ends = await fold.use(never, (store) => store?.partitions.map(({ end }) => end));
    const end = {
      version: changeVersion({ op: 'drop', layout, transaction: createTransaction(3), rowIndex: 0 }),
      gtid: createTransaction(3).gtid,
    };
    expect(ends).toEqual([end, end]);
  });

  it('gives others their turn while a `t` ends many keys, and ends them after it was stopped in between', async () => {
    const { topic, fold, keys } = open();
    for (let id = 0; id < 20_000; id++) topic.append(0, ...message(id, 1));
    topic.append(0, ...message(7, 9));
    await keys();
    topic.append(0, ...message(1, 2), ending(5), ...message(2, 6));
    const stop = new AbortController();
    let turns = 0;
    const count = (): void => {
      if (++turns === 3) stop.abort(new Error('stopped'));
      else setImmediate(count);
    };
    setImmediate(count);
    await expect(fold.use(stop.signal, () => null)).rejects.toThrow('stopped');
    expect(turns).toBe(3);
    expect(await keys()).toEqual({ [keyOf(7)]: at(9), [keyOf(2)]: at(6) });
    expect(fold.status().restarts).toBe(0);
  });

  it('takes the higher version of a key that is in an old and in a new partition', async () => {
    const { topic, keys } = open(1);
    topic.append(0, ...message(1, 1), ...message(2, 9));
    await keys();
    topic.addPartition();
    topic.append(1, ...message(1, 5), ...message(2, 3));
    expect(await keys()).toEqual({ [keyOf(1)]: at(5), [keyOf(2)]: at(9) });
  });

  it('takes the last message of a partition, also when its version is lower, missing or malformed', async () => {
    const { topic, keys } = open();
    const [foreign] = message(2, 1);
    topic.append(0, ...message(1, 5), ...message(1, 2), ...message(2, 5), { ...foreign, headers: [] } as never);
    expect(await keys()).toEqual({ [keyOf(1)]: at(2), [keyOf(2)]: 'undefined' });
  });

  it('I2: counts what is out of order, not what is repeated, with samples', async () => {
    const { topic, fold, keys } = open();
    topic.append(0, ...message(1, 1), ...message(1, 2), ...message(1, 1), ...message(1, 2), ...message(1, 3));
    await keys();
    expect(fold.status()).toMatchObject({ messages: 5, outOfOrder: 0, samples: [] });
    topic.append(0, ...message(1, 2));
    await keys();
    topic.append(0, ...message(1, 4));
    await keys();
    const sample = { key: keyOf(1), partition: 0, offset: 6, version: versionAt(4), highest: versionAt(3) };
    expect(fold.status()).toMatchObject({ outOfOrder: 1, samples: [sample] });
  });

  it('I2: passes over what reads found', async () => {
    const { topic, fold, keys } = open();
    const read = (transaction: number) =>
      messagesOf(
        { ...change(1, transaction), op: 'read', rowIndex: 0xffffffff, readSequence: 1, windowId: 'w' },
        keyOf(1),
      );
    topic.append(0, ...read(5), ...message(1, 3), ...read(2), ...message(1, 4), ...read(3), ...message(1, 5));
    await keys();
    expect(fold.status().outOfOrder).toBe(0);
  });

  it('continues with the file of another fold', async () => {
    const first = open();
    first.topic.append(0, ...message(1, 1), ...message(2, 2));
    await first.keys();
    await first.fold.close();
    first.topic.append(0, ...message(3, 3));
    const second = open(1, first.topic);
    expect(Object.keys(await second.keys())).toEqual([1, 2, 3].map(keyOf));
    expect(first.topic.read).toBe(3);
  });

  it('continues where it was interrupted, and where a leader moved', async () => {
    const { topic, fold, keys } = open();
    topic.append(0, ...[1, 2, 3, 4, 5, 6, 7].flatMap((id) => message(id, id)));
    const stop = new AbortController();
    let pages = 0;
    topic.onPage = () => {
      if (++pages === 2) stop.abort(new Error('enough'));
    };
    await expect(fold.use(stop.signal, () => null)).rejects.toThrow('enough');
    topic.failures.push(new DittoError('DITTO_KAFKA_UNAVAILABLE', 'moving', { retriable: true }));
    expect(Object.keys(await keys())).toHaveLength(7);
    expect(topic.read).toBe(7);
    expect(fold.status().restarts).toBe(0);
  });

  it.each([
    ['was made again', (topic: FakePartitions) => topic.recreate('topic-2'), []],
    ['lost messages at its end', (topic: FakePartitions) => topic.cutAt(0, 1), [1]],
    ['lost messages at its beginning', (topic: FakePartitions) => topic.deleteBefore(0, 1), [2]],
    ['is gone', (topic: FakePartitions) => topic.recreate(''), []],
  ])('begins again when the topic %s', async (_, damage, left) => {
    const { topic, keys } = open();
    topic.append(0, ...message(1, 1), ...message(2, 2));
    await keys();
    damage(topic);
    expect(Object.keys(await keys())).toEqual(left.map(keyOf));
  });

  it('begins again when it was not at the end for as long as tombstones stay', async () => {
    const world = open();
    const { topic, keys } = world;
    topic.settings['delete.retention.ms'] = '5000';
    topic.append(0, ...message(1, 1), ...message(2, 2));
    await keys();
    // the delete of 1 and its tombstone come and go unseen
    topic.append(0, ...message(1, 3, null));
    for (const offset of [0, 2, 3]) topic.compactAway(0, offset);
    world.nowMs += 4_999;
    expect(Object.keys(await keys())).toEqual([1, 2].map(keyOf));
    world.nowMs += 5_000;
    expect(Object.keys(await keys())).toEqual([keyOf(2)]);
    expect(world.fold.status().restarts).toBe(1);
  });

  it('says that it is too slow when every pass takes as long as tombstones stay', async () => {
    const world = open();
    world.topic.settings['delete.retention.ms'] = '5000';
    world.topic.append(0, ...message(1, 1));
    world.topic.onPage = () => (world.nowMs += 5_000);
    await expect(world.keys()).rejects.toMatchObject({
      code: 'DITTO_VERIFICATION_NOT_POSSIBLE',
      message: expect.stringContaining('delete.retention.ms 5000'),
    });
    expect(existsSync(join(folder, 'store'))).toBe(false);
  });

  it('refuses a topic whose messages expire, and takes one without a limit', async () => {
    const { topic, keys } = open();
    topic.settings = { 'cleanup.policy': 'delete', 'retention.ms': '-1', 'retention.bytes': '-1' };
    topic.append(0, ...message(1, 1));
    expect(Object.keys(await keys())).toEqual([keyOf(1)]);
    const other = open(1, topic);
    topic.settings['retention.ms'] = '604800000';
    await expect(other.keys()).rejects.toThrow('retention.ms=604800000');
  });

  it.each([
    ['denied', 'TOPIC_AUTHORIZATION_FAILED', { code: 'DITTO_VERIFICATION_NOT_POSSIBLE', retriable: false }],
    ['not read', 'NOT_CONTROLLER', { code: 'DITTO_KAFKA_UNAVAILABLE', retriable: true }],
  ])(
    'takes no topic whose settings are %s for one that keeps its rows',
    async (_, apiId, error) => {
      const { topic, fold, keys } = open();
      topic.append(0, ...message(1, 1));
      topic.settingsError = toKafkaError(Object.assign(new Error('no'), { apiId }), 'reading the settings');
      await expect(keys()).rejects.toMatchObject(error);
      topic.settingsError = null;
      expect(Object.keys(await keys())).toEqual([keyOf(1)]);
      expect(fold.status().restarts).toBe(0);
    },
    20_000,
  );

  it('takes an unknown topic for one that has nothing', async () => {
    const { topic, keys } = open(1);
    topic.recreate('');
    topic.settingsError = toKafkaError(Object.assign(new Error('no'), { apiId: 'UNKNOWN_TOPIC_OR_PARTITION' }), 'x');
    expect(await keys()).toEqual({});
  }, 20_000);

  it('removes its store when there is no room for it', async () => {
    const makeRoom = (): never => {
      throw new DittoError('DITTO_VERIFICATION_NOT_POSSIBLE', 'full');
    };
    const { topic, keys } = open(1, undefined, { makeRoom });
    topic.append(0, ...message(1, 1));
    await expect(keys()).rejects.toThrow('full');
    expect(existsSync(join(folder, 'store'))).toBe(false);
  });

  it('sees all that was there when it was asked, also while another use is under way', async () => {
    const { topic, fold } = open();
    topic.append(0, ...message(1, 1));
    const first = fold.use(never, (store) => store?.list(null, 10).length);
    topic.append(0, ...message(2, 2));
    const second = fold.use(never, (store) => store?.list(null, 10).length);
    expect(fold.isIdle).toBe(false);
    expect([await first, await second]).toEqual([expect.any(Number), 2]);
    await Promise.resolve();
    expect(fold.isIdle).toBe(true);
  });
});
