import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Checkpoint } from '#change-events';
import { type RedisConnection, RedisLeases, RedisOffsets } from '#redis';
import { eventually, uniqueName } from '#testing';
import { connectRedis, loseAllData } from './redis-server.ts';

const version = (n: number) => `${'0'.repeat(27)}${n}${'f'.repeat(16)}`;

function createCheckpoint(source: string, n: number, lineage = 1): Checkpoint {
  const position = {
    gtidSet: `3e11fa47-71ca-11e1-9e33-c80aa9429562:1-${n}`,
    file: 'binlog.000001',
    offset: n,
    serverUuid: 'u',
  };
  return {
    source,
    lineage,
    position,
    dispatchedSet: position.gtidSet,
    undecidedSet: '3e11fa47-71ca-11e1-9e33-c80aa9429562:11',
    version: version(n),
    commitMicros: n,
    lastCovered: null,
    lastDispatched: null,
    savedAtMs: n,
  };
}

describe('offsets and leases in Redis', () => {
  let redis: RedisConnection;
  let offsets: RedisOffsets;
  let leases: RedisLeases;

  beforeAll(async () => {
    redis = await connectRedis();
    offsets = new RedisOffsets(redis);
    leases = new RedisLeases(redis);
  });
  afterAll(() => redis.close());

  async function lease(source: string, owner: string, token: number, ttlMs = 60_000) {
    const nonce = uniqueName('nonce');
    expect(await leases.reserve({ source, owner, nonce, ttlMs })).toBe(true);
    expect(await leases.grant({ source, owner, token }, nonce, ttlMs)).toBe(true);
    return { source, owner, token };
  }

  test('an offset comes back as it was put, under the token of the lease', async () => {
    const grant = await lease(uniqueName('shop'), 'a', 3);
    expect(await offsets.get(grant.source)).toBeNull();
    expect(await offsets.put(grant, createCheckpoint(grant.source, 5))).toEqual({ outcome: 'stored', newestToken: 3 });
    expect(await offsets.get(grant.source)).toEqual({ token: 3, checkpoint: createCheckpoint(grant.source, 5) });
    expect(await offsets.list()).toContainEqual({ token: 3, checkpoint: createCheckpoint(grant.source, 5) });
  });

  test('an offset that an earlier version put has what that did not know as empty', async () => {
    const grant = await lease(uniqueName('shop'), 'a', 3);
    await offsets.put(grant, createCheckpoint(grant.source, 5));
    const later = { undecidedSet: '', lastCovered: null, lastDispatched: null };
    const before = Object.entries(createCheckpoint(grant.source, 5)).filter(([name]) => !(name in later));
    const text = JSON.stringify(Object.fromEntries(before));
    await redis.run((client) => client.hset(redis.keys.offset(grant.source), 'checkpoint', text));
    expect((await offsets.get(grant.source))?.checkpoint).toEqual({ ...createCheckpoint(grant.source, 5), ...later });
  });

  test('I5: an older token moves no offset', async () => {
    const source = uniqueName('shop');
    const paused = await lease(source, 'paused', 1);
    await offsets.put(paused, createCheckpoint(source, 5));
    await leases.release(paused);
    const newest = await lease(source, 'newest', 2);
    expect(await offsets.put(paused, createCheckpoint(source, 9))).toEqual({ outcome: 'fenced', newestToken: 2 });
    expect((await offsets.get(source))?.checkpoint).toEqual(createCheckpoint(source, 5));
    expect((await offsets.put(newest, createCheckpoint(source, 4))).outcome).toBe('stored');
  });

  test('I5: a token that Redis never saw moves an offset only when the state database vouches for it', async () => {
    const source = uniqueName('shop');
    const grant = { source, owner: 'a', token: 4 };
    expect(await offsets.put(grant, createCheckpoint(source, 5))).toEqual({ outcome: 'unverified', newestToken: 0 });
    expect(await offsets.put(grant, createCheckpoint(source, 5), 5)).toEqual({ outcome: 'fenced', newestToken: 5 });
    expect(await offsets.get(source)).toBeNull();
    expect((await offsets.put({ ...grant, token: 5 }, createCheckpoint(source, 5), 5)).outcome).toBe('stored');
  });

  test('I5: an offset never goes back under one token; a higher lineage is newer', async () => {
    const grant = await lease(uniqueName('shop'), 'a', 1);
    await offsets.put(grant, createCheckpoint(grant.source, 8));
    expect((await offsets.put(grant, createCheckpoint(grant.source, 7))).outcome).toBe('late');
    expect((await offsets.put(grant, createCheckpoint(grant.source, 8))).outcome).toBe('stored');
    expect((await offsets.put(grant, { ...createCheckpoint(grant.source, 1, 2), version: '' })).outcome).toBe('stored');
    expect((await offsets.put(grant, createCheckpoint(grant.source, 9))).outcome).toBe('late');
    await offsets.restore({ token: 1, checkpoint: createCheckpoint(grant.source, 9) });
    expect((await offsets.get(grant.source))?.checkpoint.lineage).toBe(2);
  });

  test('after a loss of all data an offset is restored, raising no token', async () => {
    const lost = await connectRedis();
    try {
      const store = new RedisOffsets(lost);
      const source = uniqueName('shop');
      await store.put({ source, owner: 'a', token: 2 }, createCheckpoint(source, 6), 2);
      await loseAllData(lost);
      expect(await store.get(source)).toBeNull();
      expect(await store.list()).toEqual([]);
      await store.restore({ token: 2, checkpoint: createCheckpoint(source, 5) });
      expect(await store.list()).toEqual([{ token: 2, checkpoint: createCheckpoint(source, 5) }]);
      expect((await store.put({ source, owner: 'a', token: 2 }, createCheckpoint(source, 7))).outcome).toBe(
        'unverified',
      );
    } finally {
      lost.close();
    }
  });

  test('a lease that is handed over is kept for the next owner alone, until its time is over', async () => {
    const source = uniqueName('shop');
    const held = await lease(source, 'a', 1);
    const handOver = { to: 'b', ttlMs: 60_000 };
    expect(await leases.release({ ...held, token: 2 }, handOver)).toBe(false);
    expect(await leases.release(held, handOver)).toBe(true);
    expect(await leases.read(source)).toMatchObject({ owner: 'b', token: null });
    expect(await leases.renew(held, 60_000)).toBe(false);
    const reserve = (owner: string, nonce: string): Promise<boolean> =>
      leases.reserve({ source, owner, nonce, ttlMs: 60_000, attempt: 1 });
    expect([await reserve('a', 'x'), await reserve('c', 'y'), await reserve('b', 'z')]).toEqual([false, false, true]);
    expect(await leases.grant({ source, owner: 'b', token: 2 }, 'z', 60_000)).toBe(true);
    expect(await leases.release({ source, owner: 'b', token: 2 }, { to: 'c', ttlMs: 100 })).toBe(true);
    await eventually(
      () => reserve('a', 'w'),
      (isReserved) => isReserved,
    );
  });

  test('one owner holds a lease until it releases it', async () => {
    const source = uniqueName('shop');
    const held = await lease(source, 'a', 1);
    expect(await leases.reserve({ source, owner: 'b', nonce: 'n', ttlMs: 60_000 })).toBe(false);
    expect(await leases.grant({ source, owner: 'b', token: 2 }, 'n', 60_000)).toBe(false);
    expect(await leases.read(source)).toMatchObject({ source, owner: 'a', token: 1 });
    expect(await leases.renew(held, 60_000)).toBe(true);
    expect(await leases.renew({ ...held, token: 2 }, 60_000)).toBe(false);
    expect(await leases.renew({ ...held, owner: 'b' }, 60_000)).toBe(false);
    expect(await leases.release({ ...held, owner: 'b' })).toBe(false);
    expect(await leases.release(held)).toBe(true);
    expect(await leases.renew(held, 60_000)).toBe(false);
    expect(await leases.read(source)).toBeNull();
    await lease(source, 'b', 2);
  });

  test('I5: a lease is taken over from an owner that has ended, but only the one with that token, and with a higher one', async () => {
    const source = uniqueName('shop');
    const process = { host: 'h', pid: 7, startedTicks: 9 };
    expect(await leases.reserve({ source, owner: 'a', nonce: 'na', ttlMs: 60_000, process })).toBe(true);
    const takeOver = { source, owner: 'b', nonce: 'nb', ttlMs: 60_000 };
    // reserved only: its grant is under way
    expect(await leases.reserve({ ...takeOver, ended: { owner: 'a', token: 1 } })).toBe(false);
    expect(await leases.grant({ source, owner: 'a', token: 1 }, 'na', 60_000)).toBe(true);
    expect(await leases.read(source)).toMatchObject({ owner: 'a', process });
    for (const ended of [null, { owner: 'a', token: 2 }, { owner: 'c', token: 1 }])
      expect(await leases.reserve({ ...takeOver, ended })).toBe(false);
    expect(await leases.reserve({ ...takeOver, ended: { owner: 'a', token: 1 } })).toBe(true);
    expect(await leases.renew({ source, owner: 'a', token: 1 }, 60_000)).toBe(false);
    expect(await leases.grant({ source, owner: 'b', token: 1 }, 'nb', 60_000)).toBe(false);
    expect(await leases.grant({ source, owner: 'b', token: 2 }, 'nb', 60_000)).toBe(true);
    expect(await leases.read(source)).toMatchObject({ owner: 'b', token: 2, process: null });
    // the same proof once more comes late
    expect(await leases.reserve({ ...takeOver, owner: 'c', nonce: 'nc', ended: { owner: 'a', token: 1 } })).toBe(false);
  });

  test('a lease that is not renewed ends', async () => {
    const source = uniqueName('shop');
    const held = await lease(source, 'a', 1, 150);
    while ((await leases.read(source)) !== null) await leases.highestToken(source);
    expect(await leases.renew(held, 60_000)).toBe(false);
    await lease(source, 'b', 2);
    expect(await leases.highestToken(source)).toBe(2);
  });

  test('I5: no lease is granted with a token at or below one that was seen', async () => {
    const source = uniqueName('shop');
    await leases.release(await lease(source, 'a', 5));
    for (const token of [4, 5]) {
      expect(await leases.reserve({ source, owner: 'b', nonce: `n${token}`, ttlMs: 60_000 })).toBe(true);
      expect(await leases.grant({ source, owner: 'b', token }, `n${token}`, 60_000)).toBe(false);
      await leases.abandon(source, `n${token}`);
    }
    await lease(source, 'b', 6);
  });

  test('a grant whose answer was lost may be repeated', async () => {
    const source = uniqueName('shop');
    await leases.reserve({ source, owner: 'a', nonce: 'n', ttlMs: 60_000 });
    expect(await leases.grant({ source, owner: 'a', token: 1 }, 'n', 60_000)).toBe(true);
    expect(await leases.grant({ source, owner: 'a', token: 1 }, 'n', 60_000)).toBe(true);
  });

  test('of many that want a lease at once one gets as far as asking for a token', async () => {
    const source = uniqueName('shop');
    const reserved = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        leases.reserve({ source, owner: `owner-${i}`, nonce: `n-${i}`, ttlMs: 60_000 }),
      ),
    );
    expect(reserved.filter(Boolean)).toHaveLength(1);
    expect(await leases.read(source)).toMatchObject({ token: null });
    await leases.abandon(source, 'n-other');
    expect(await leases.read(source)).not.toBeNull();
    await leases.abandon(source, `n-${reserved.indexOf(true)}`);
    expect(await leases.read(source)).toBeNull();
  });

  test('an owner that reserves its lease again gives up its grant', async () => {
    const source = uniqueName('shop');
    const first = await lease(source, 'a', 1);
    const second = await lease(source, 'a', 2);
    expect(await leases.renew(first, 60_000)).toBe(false);
    expect(await leases.renew(second, 60_000)).toBe(true);
  });

  test('a lost connection is reported as something that passes', async () => {
    const other = await connectRedis();
    other.close();
    await expect(new RedisOffsets(other).get('shop')).rejects.toMatchObject({
      code: 'DITTO_REDIS_UNAVAILABLE',
      retriable: true,
    });
  });
});
