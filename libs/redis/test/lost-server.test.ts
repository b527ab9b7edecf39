import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { type Checkpoint } from '#change-events';
import { RedisConnection, RedisLeases, RedisOffsets } from '#redis';
import { type Stack, startStack } from '#stack';
import { FaultProxy, testStack, uniqueName } from '#testing';

const unavailable = { code: 'DITTO_REDIS_UNAVAILABLE', retriable: true };
const COMMAND_TIMEOUT_MS = 300;

let stack: Stack;
let proxy: FaultProxy;
let redis: RedisConnection;
let leases: RedisLeases;
/** Of the server alone, without the proxy. */
let direct: RedisConnection;

beforeAll(async () => {
  stack = await startStack({ folder: await mkdtemp(join(tmpdir(), 'ditto-redis-')), servers: ['redis'] });
  proxy = await FaultProxy.open(stack.endpoint('redis'));
  const keyPrefix = uniqueName('test');
  redis = new RedisConnection({
    url: `redis://${proxy.host}:${proxy.port}`,
    keyPrefix,
    commandTimeoutMs: COMMAND_TIMEOUT_MS,
  });
  direct = new RedisConnection({ url: stack.url('redis'), keyPrefix });
  const soon = AbortSignal.timeout(10_000);
  await Promise.all([redis.waitUntilReady(soon), direct.waitUntilReady(soon)]);
  leases = new RedisLeases(redis);
}, 60_000);

afterEach(() => proxy.restore());

afterAll(async () => {
  redis.close();
  direct.close();
  proxy.close();
  await stack.down();
  await rm(stack.folder, { recursive: true, force: true });
});

/** Until it is not refused as unavailable. */
async function persist<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      expect(error).toMatchObject(unavailable);
      await wait(20);
    }
  }
}

test.each(['toServer', 'toClient'] as const)(
  'silent in mid-call (%s): the call fails in time, and the connection is made again at once',
  async (direction) => {
    const source = uniqueName('shop');
    await persist(() => redis.ping());
    const before = proxy.acceptedConnections;
    proxy.silence({ direction, from: source, newConnections: false });
    const startedAt = Date.now();
    await expect(leases.reserve({ source, owner: 'a', nonce: 'nonce', ttlMs: 60_000 })).rejects.toMatchObject(
      unavailable,
    );
    expect(Date.now() - startedAt).toBeLessThan(COMMAND_TIMEOUT_MS + 300);
    expect(redis.isReady).toBe(false);
    await persist(() => redis.ping());
    expect(Date.now() - startedAt).toBeLessThan(COMMAND_TIMEOUT_MS + 1_000);
    for (let call = 0; call < 40; call++) await leases.read(source);
    expect(proxy.acceptedConnections).toBe(before + 1);
  },
);

test('silent for new connections too: calls say what is wrong; when it answers again, they succeed', async () => {
  proxy.silence();
  await expect(redis.ping()).rejects.toMatchObject(unavailable);
  await wait(200);
  await expect(redis.ping()).rejects.toMatchObject({ ...unavailable, message: expect.stringContaining('in time') });
  proxy.restore();
  await persist(() => redis.ping());
});

test('I5: a command that timed out and arrives after newer ones changes nothing', async () => {
  const source = uniqueName('shop');
  const offsets = new RedisOffsets(direct);
  const checkpoint = (dispatched: number): Checkpoint => ({
    source,
    lineage: 1,
    position: { gtidSet: '', file: 'binlog.000001', offset: 4, serverUuid: 'u' },
    dispatchedSet: `3e11fa47-71ca-11e1-9e33-c80aa9429562:1-${dispatched}`,
    undecidedSet: '',
    version: '0'.repeat(44),
    commitMicros: 1,
    lastCovered: null,
    lastDispatched: null,
    savedAtMs: dispatched,
  });
  const owner = (token: number) => ({ source, owner: 'a', token });
  const take = async (through: RedisConnection, token: number): Promise<void> => {
    expect(
      await new RedisLeases(through).reserve({ source, owner: 'a', nonce: `n${token}`, ttlMs: 60_000, attempt: token }),
    ).toBe(true);
    expect(await new RedisLeases(through).grant(owner(token), `n${token}`, 60_000)).toBe(true);
  };
  await take(direct, 1);
  const late: (() => Promise<unknown>)[] = [
    () => leases.reserve({ source, owner: 'a', nonce: 'late', ttlMs: 60_000, attempt: 2 }),
    () => leases.grant(owner(1), 'n1', 60_000),
    () => leases.renew(owner(1), 1),
    () => leases.release(owner(1)),
    () => leases.abandon(source, 'n1'),
    () => new RedisOffsets(redis).put(owner(1), checkpoint(1)),
    () => new RedisOffsets(redis).put(owner(3), checkpoint(2), 3),
  ];
  for (const send of late) {
    await persist(() => redis.ping());
    proxy.silence({ direction: 'toServer', from: source });
    await expect(send()).rejects.toMatchObject(unavailable);
    proxy.silence({ newConnections: false });
  }
  await take(direct, 3);
  expect((await offsets.put(owner(3), checkpoint(9))).outcome).toBe('stored');
  proxy.restore();
  while (proxy.deliveredBytes.toServer < proxy.receivedBytes.toServer) await wait(10);
  await persist(() => redis.ping());
  while (proxy.openConnections > 1) await wait(10);
  const held = new RedisLeases(direct);
  expect(await held.read(source)).toMatchObject({ owner: 'a', token: 3 });
  expect((await held.read(source))?.expiresInMs).toBeGreaterThan(50_000);
  expect(await held.renew(owner(3), 60_000)).toBe(true);
  expect(await held.highestToken(source)).toBe(3);
  expect(await offsets.get(source)).toEqual({ token: 3, checkpoint: checkpoint(9) });
});

test('demoted to a replica: no call succeeds that would write, and a name that leads to the new primary is followed', async () => {
  const shared = (await testStack()).endpoint('redis');
  const source = uniqueName('shop');
  await persist(() => redis.ping());
  await direct.run((client) => client.replicaof(shared.host, shared.port));
  const readOnly = { ...unavailable, message: expect.stringContaining('READONLY') };
  await expect(leases.reserve({ source, owner: 'a', nonce: 'nonce', ttlMs: 60_000 })).rejects.toMatchObject(readOnly);
  proxy.target = shared;
  expect(await persist(() => leases.reserve({ source, owner: 'a', nonce: 'nonce', ttlMs: 60_000 }))).toBe(true);
  await direct.run((client) => client.replicaof('NO', 'ONE'));
});
