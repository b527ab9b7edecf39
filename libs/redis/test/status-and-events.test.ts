import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type RecentEvent, type RedisConnection, RedisRecentEvents, RedisStatusBoard } from '#redis';
import { connectRedis } from './redis-server.ts';

function createEvent(n: number, key = `{"id":${n}}`): RecentEvent {
  const value = JSON.stringify({ before: null, after: { id: n }, op: 'c' });
  const place = { topic: 'shop.d.t', partition: 0, offset: n };
  return {
    key,
    op: 'c',
    id: `u:${n}/0`,
    version: 'v',
    gtid: `u:${n}`,
    commitMs: n,
    publishedMs: n,
    ...place,
    value,
    omittedBytes: 0,
  };
}
const numbers = (events: readonly RecentEvent[]) => events.map(({ offset }) => offset);

describe('status and recent events in Redis', () => {
  let redis: RedisConnection;
  beforeAll(async () => {
    redis = await connectRedis();
  });
  afterAll(() => redis.close());

  test('a service is listed until its report ends', async () => {
    const board = new RedisStatusBoard(redis);
    await board.reportService('b', { n: 1 }, 60_000);
    await board.reportService('a', { n: 1 }, 60_000);
    await board.reportService('a', { n: 2 }, 60_000);
    await board.reportService('c', { n: 1 }, 1);
    while ((await board.listServices()).has('c')) await redis.ping();
    expect([...(await board.listServices())]).toEqual([
      ['a', { n: 2 }],
      ['b', { n: 1 }],
    ]);
  });

  test('heartbeats belong to their source', async () => {
    const board = new RedisStatusBoard(redis);
    await board.reportServers(
      'shop',
      new Map([
        ['one:3306', { up: true }],
        ['two:3306', { up: false }],
      ]),
      60_000,
    );
    await board.reportServers('other', new Map(), 60_000);
    expect([...(await board.listServers('shop')).keys()]).toEqual(['one:3306', 'two:3306']);
    expect((await board.listServers('other')).size).toBe(0);
  });

  test('a window keeps the newest events of each table, newest first', async () => {
    const events = new RedisRecentEvents(redis, { perTable: 5, maxAgeMs: 60_000 });
    await events.append(
      'shop',
      'd.t',
      [1, 2, 3].map((n) => createEvent(n)),
    );
    await events.append(
      'shop',
      'd.t',
      [4, 5, 6, 7].map((n) => createEvent(n)),
    );
    await events.append('shop', 'd.other', [createEvent(8)]);
    expect(numbers(await events.query('shop', 'd.t', 100))).toEqual([7, 6, 5, 4, 3]);
    expect(numbers(await events.query('shop', 'd.t', 2))).toEqual([7, 6]);
    expect((await events.query('shop', 'd.t', 1))[0]).toEqual(createEvent(7));
    // events of one millisecond have no order between tables; merge-newest.spec.ts has the order
    expect((await events.search('shop', 3)).events).toHaveLength(3);
    const all = (await events.search('shop', 100)).events;
    expect(numbers(all.filter(({ table }) => table === 'd.t'))).toEqual([7, 6, 5, 4, 3]);
    expect(numbers(all.filter(({ table }) => table === 'd.other'))).toEqual([8]);
    expect(all).toHaveLength(6);
    expect(numbers((await events.search('shop', 9, (key) => key === '{"id":5}')).events)).toEqual([5]);
    expect(await events.query('shop', 'd.none', 10)).toEqual([]);
  });

  test('the events of one key are found however far back they lie in the window', async () => {
    const events = new RedisRecentEvents(redis, { perTable: 2_000, maxAgeMs: 60_000 });
    await events.append('shop', 'd.keys', [createEvent(1, 'k')]);
    await events.append(
      'shop',
      'd.keys',
      Array.from({ length: 1_300 }, (_, i) => createEvent(i + 2)),
    );
    await events.append('shop', 'd.keys', [createEvent(2_000, 'k')]);
    expect(numbers(await events.query('shop', 'd.keys', 10, (key) => key === 'k'))).toEqual([2_000, 1]);
    expect(await events.query('shop', 'd.keys', 10_000)).toHaveLength(1_302);
  });

  test('old events are forgotten', async () => {
    const events = new RedisRecentEvents(redis, { perTable: 100, maxAgeMs: 50 });
    await events.append('shop', 'd.old', [createEvent(1)]);
    await events.appendGap('shop', 'd.old', { skipped: 3, fromMs: 1, toMs: 2 });
    while ((await events.query('shop', 'd.old', 10)).length > 0) await redis.ping();
    await events.append('shop', 'd.old', [createEvent(2)]);
    expect(numbers(await events.query('shop', 'd.old', 10))).toEqual([2]);
    while ((await events.listGaps('shop', 'd.old')).length > 0) await redis.ping();
  });

  test('the window says what it lacks', async () => {
    const events = new RedisRecentEvents(redis, { perTable: 100, maxAgeMs: 60_000 });
    const gaps = [
      { skipped: 3, fromMs: 1, toMs: 2 },
      { skipped: 400, fromMs: 2, toMs: 9 },
    ] as const;
    for (const gap of gaps) await events.appendGap('shop', 'd.gaps', gap);
    expect(await events.listGaps('shop', 'd.gaps')).toEqual([...gaps].reverse());
    const all = await events.search('shop', 10);
    expect(all.gaps.filter(({ table }) => table === 'd.gaps')).toMatchObject([...gaps].reverse());
    expect(all.isCutShort).toBe(false);
  });

  test('a search counts what all gaps lack, those that it does not list too', async () => {
    const events = new RedisRecentEvents(redis, { perTable: 100, maxAgeMs: 60_000 });
    for (let n = 0; n < 150; n++)
      await events.appendGap('gaps', `d.t${n % 3}`, { skipped: 2, fromMs: 1, toMs: 1_000 + n });
    const { gaps, skippedEvents, isCutShort } = await events.search('gaps', 4);
    expect(gaps.map(({ toMs }) => toMs)).toEqual([1_149, 1_148, 1_147, 1_146]);
    expect({ skippedEvents, isCutShort }).toEqual({ skippedEvents: 300, isCutShort: false });
  });
});
