import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type RedisConnection, RedisProbeTurns } from '#redis';
import { connectRedis } from './redis-server.ts';

const HOUR_MS = 3_600_000;
let redis: RedisConnection;
let turns: RedisProbeTurns;

beforeAll(async () => {
  redis = await connectRedis();
  turns = new RedisProbeTurns(redis);
});

afterAll(() => redis.close());

const scores = (): Promise<string[]> => redis.run((client) => client.zrange(redis.keys.probes(), '0', '-1'));

test('the turn of an endpoint is taken once in an interval, no more of them than are asked for', async () => {
  const [first, second] = await Promise.all([
    turns.take(['a', 'b', 'c'], HOUR_MS, 2),
    turns.take(['a', 'b'], HOUR_MS, 2),
  ]);
  expect(first.endpoints).toEqual(['a', 'b']);
  expect(first.nextInMs).toBeGreaterThan(0);
  expect(first.nextInMs).toBeLessThanOrEqual(HOUR_MS);
  expect(second.endpoints).toEqual([]);
  expect((await turns.take(['a', 'b', 'c'], HOUR_MS, 2)).endpoints).toEqual(['c']);
});

test('the next turn comes after the interval, also after one that was longer, and after the clock was set back', async () => {
  expect((await turns.take(['d'], 2 * HOUR_MS, 1)).endpoints).toEqual(['d']);
  const taken: string[] = [];
  while (taken.length < 2) taken.push(...(await turns.take(['d'], 20, 1)).endpoints);
  await redis.run((client) => client.zadd(redis.keys.probes(), Date.now() + HOUR_MS, 'd'));
  expect((await turns.take(['d'], HOUR_MS, 1)).endpoints).toEqual(['d']);
});

test('an endpoint that nobody probes any more is forgotten', async () => {
  await redis.run((client) => client.zadd(redis.keys.probes(), Date.now() - 101 * HOUR_MS, 'old'));
  await turns.take(['e'], HOUR_MS, 1);
  const known = await scores();
  expect(known).toContain('e');
  expect(known).not.toContain('old');
});
