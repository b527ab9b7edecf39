import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type RedisConnection, RedisRecentPlaces } from '#redis';
import { connectRedis } from './redis-server.ts';

let redis: RedisConnection;
let places: RedisRecentPlaces;

beforeAll(async () => {
  redis = await connectRedis();
  places = new RedisRecentPlaces(redis);
});

afterAll(() => redis.close());

test('one at a time has the turn of a source, until it ends it or its time is over', async () => {
  expect(await places.beginTurn('a', 'first', 60_000)).toBe(true);
  expect(await places.beginTurn('a', 'second', 60_000)).toBe(false);
  expect(await places.beginTurn('b', 'second', 1)).toBe(true);
  while (!(await places.beginTurn('b', 'third', 60_000))) await redis.ping();
  await places.endTurn('a', 'second');
  expect(await places.beginTurn('a', 'second', 60_000)).toBe(false);
  await places.endTurn('a', 'first');
  expect(await places.beginTurn('a', 'second', 60_000)).toBe(true);
});

test('a place only goes forwards, and only in a turn', async () => {
  expect(await places.load('c')).toBeNull();
  expect(await places.save('c', 'first', '01')).toBe(false);
  await places.beginTurn('c', 'first', 60_000);
  expect(await places.save('c', 'first', '02')).toBe(true);
  expect(await places.save('c', 'first', '02')).toBe(true);
  expect(await places.save('c', 'first', '01')).toBe(false);
  await places.endTurn('c', 'first');
  await places.beginTurn('c', 'second', 60_000);
  expect(await places.save('c', 'first', '03')).toBe(false);
  expect(await places.load('c')).toBe('02');
  expect(await places.save('c', 'second', '0a')).toBe(true);
  expect(await places.load('c')).toBe('0a');
});
