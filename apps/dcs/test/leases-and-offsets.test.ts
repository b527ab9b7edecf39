import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type Checkpoint } from '#change-events';
import { DcsCheckpointStore, DcsClient } from '#dcs-client';
import { createMetrics } from '#platform';
import { RedisConnection, RedisLeases } from '#redis';
import { type Grant } from '#replication';
import { StateAuditLog, StateCheckpointStore, StateDatabase, StateFencing } from '#state';
import { eventually, FaultProxy, testStack, uniqueName } from '#testing';
import { LeaseOffice } from '../src/leases/lease-office.ts';
import { createDeployment, DcsInstance, type Deployment, OPERATE_TOKEN, READ_TOKEN } from './dcs-instance.ts';

const TTL_MS = 60_000;
const version = (n: number) => `${'0'.repeat(27)}${n}${'f'.repeat(16)}`;

function createCheckpoint(source: string, n: number): Checkpoint {
  const position = {
    gtidSet: `3e11fa47-71ca-11e1-9e33-c80aa9429562:1-${n}`,
    file: 'binlog.000001',
    offset: n,
    serverUuid: 'u',
  };
  return {
    source,
    lineage: 1,
    position,
    dispatchedSet: position.gtidSet,
    undecidedSet: '3e11fa47-71ca-11e1-9e33-c80aa9429562:11',
    version: version(n),
    commitMicros: 1_795_000_000_000_007,
    lastCovered: null,
    lastDispatched: null,
    savedAtMs: n,
  };
}

describe('two instances of DCS', () => {
  let deployment: Deployment;
  let stateProxy: FaultProxy;
  let redis: RedisConnection;
  let state: StateDatabase;
  let durable: StateCheckpointStore;
  let instances: readonly [DcsInstance, DcsInstance];
  let both: DcsClient;
  let alone: readonly [DcsClient, DcsClient];
  let source: string;

  function connect(endpoints: readonly DcsInstance[], token: string | null = OPERATE_TOKEN): DcsClient {
    return new DcsClient({ endpoints: endpoints.map(({ rpc }) => rpc), token, timeoutMs: 5_000, markDownMs: 60_000 });
  }

  beforeAll(async () => {
    const stack = await testStack();
    stateProxy = await FaultProxy.open(stack.endpoint('mysql-state'));
    const direct = await createDeployment();
    deployment = { ...direct, state: { ...direct.state, host: stateProxy.host, port: stateProxy.port } };
    redis = new RedisConnection({ url: deployment.redisUrl, keyPrefix: deployment.keyPrefix });
    state = new StateDatabase({ ...direct.state, database: direct.database });
    await Promise.all([redis.waitUntilReady(AbortSignal.timeout(10_000)), state.open(AbortSignal.timeout(30_000))]);
    durable = new StateCheckpointStore(state);
    instances = [await DcsInstance.start(deployment), await DcsInstance.start(deployment)];
    both = connect(instances);
    alone = [connect([instances[0]]), connect([instances[1]])];
    for (const instance of instances)
      await eventually(
        () => instance.get('/health/ready'),
        ({ text }) => text.includes('"grantsLeases":true'),
      );
  }, 60_000);

  afterAll(async () => {
    for (const client of [both, ...alone]) client.close();
    await Promise.all(instances.map((instance) => instance.close()));
    redis.close();
    await state.close();
    stateProxy.close();
  });

  beforeEach(() => {
    source = uniqueName('shop');
  });

  async function loseAllData(): Promise<void> {
    await redis.run(async (client) => client.del(await client.keys(`${deployment.keyPrefix}:*`)));
  }

  async function acquire(client: DcsClient, owner: string): Promise<Grant> {
    const { grant, holder } = await client.acquireLease({ source, owner, ttlMs: TTL_MS });
    if (!grant) throw new Error(`held by ${JSON.stringify(holder)}`);
    return grant;
  }

  test('a lease granted by one is known to the other', async () => {
    const grant = await acquire(alone[0], 'a');
    expect(grant).toEqual({ source, owner: 'a', token: 1 });
    expect(await alone[1].renewLease(grant, TTL_MS)).toBe(true);
    expect(await alone[1].acquireLease({ source, owner: 'b', ttlMs: TTL_MS })).toMatchObject({
      grant: null,
      holder: { source, owner: 'a', token: 1 },
    });
    expect(await alone[0].listLeases()).toContainEqual(expect.objectContaining({ source, owner: 'a' }));
    await alone[1].releaseLease(grant);
    expect(await alone[0].renewLease(grant, TTL_MS)).toBe(false);
    expect(await acquire(alone[1], 'b')).toEqual({ source, owner: 'b', token: 2 });
  });

  test('I5: a lease of a process that has ended is taken over with a new token, once', async () => {
    const process = { host: 'h', pid: 7, startedTicks: 9 };
    await both.acquireLease({ source, owner: 'a', ttlMs: TTL_MS, process });
    const { holder } = await alone[1].acquireLease({ source, owner: 'b', ttlMs: TTL_MS });
    expect(holder).toMatchObject({ owner: 'a', token: 1, process });
    const request = (owner: string) => ({ source, owner, ttlMs: TTL_MS, ended: { owner: 'a', token: 1 } });
    const answers = await Promise.all(['b', 'c', 'd'].map((owner) => both.acquireLease(request(owner))));
    const grants = answers.map(({ grant }) => grant).filter((grant) => grant !== null);
    expect(grants).toMatchObject([{ token: 2 }]);
    expect(await both.renewLease({ source, owner: 'a', token: 1 }, TTL_MS)).toBe(false);
    await expect(both.putOffset({ source, owner: 'a', token: 1 }, createCheckpoint(source, 5))).rejects.toMatchObject({
      code: 'DITTO_LEASE_FENCED',
    });
  });

  test('the grants of a process that asks again and again are one audit entry, with a count', async () => {
    for (let n = 0; n < 6; n++) await both.releaseLease(await acquire(both, 'a'));
    await acquire(both, 'b');
    const entries = (await new StateAuditLog(state).list({}, { after: null, limit: 50 })).filter(
      ({ subject }) => subject === source,
    );
    expect(entries).toMatchObject([
      { actor: 'dcs', action: 'lease.grant', repeats: 1, details: { owner: 'b', token: 7 } },
      { actor: 'dcs', action: 'lease.grant', repeats: 6, details: { owner: 'a', token: 6 } },
    ]);
  });

  test('of many that ask both at once one gets the lease, and its token is not fenced off by the others', async () => {
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, i) => both.acquireLease({ source, owner: `owner-${i}`, ttlMs: TTL_MS })),
    );
    const grants = answers.map(({ grant }) => grant).filter((grant) => grant !== null);
    expect(grants).toHaveLength(1);
    expect(await new StateFencing(state).currentToken(source)).toBe(grants[0]?.token);
  });

  test('I5: an instance that was frozen between token and lease grants nothing, even when Redis has lost the newer token', async () => {
    const fencing = new StateFencing(state);
    class FrozenFencing extends StateFencing {
      override async grant(name: string, owner: string, above?: number): Promise<number> {
        const token = await super.grant(name, owner, above);
        await fencing.grant(name, 'other');
        await loseAllData();
        return token;
      }
    }
    const leases = new RedisLeases(redis);
    const office = new LeaseOffice(leases, new FrozenFencing(state), new StateAuditLog(state), createMetrics('test'));
    expect(await office.acquire({ source, owner: 'frozen', ttlMs: TTL_MS })).toEqual({ grant: null, holder: null });
    expect(await leases.read(source)).toBeNull();
    const { token } = await acquire(both, 'next');
    expect(token).toBe(3);
  });

  test('I5: a request for a lease that timed out and arrives after a later one of its owner takes nothing away', async () => {
    const proxy = await FaultProxy.open(instances[0].rpc);
    const endpoints = [{ host: proxy.host, port: proxy.port }, instances[1].rpc];
    const client = new DcsClient({ endpoints, token: OPERATE_TOKEN, timeoutMs: 400 });
    proxy.silence({ direction: 'toServer', from: 'dcs.leases.acquire' });
    const grant = await acquire(client, 'a');
    proxy.restore();
    const answers = `ditto_dcs_lease_requests_total\\{source="${source}",outcome="\\w+"\\} 1`;
    await eventually(
      () => instances[0].get('/metrics'),
      ({ text }) => new RegExp(answers).test(text),
    );
    expect(await client.renewLease(grant, TTL_MS)).toBe(true);
    expect(await new StateFencing(state).currentToken(source)).toBe(grant.token);
    client.close();
    proxy.close();
  });

  test('DCS falls silent in mid-call: the call continues with the other instance, and the next one over a new connection', async () => {
    const proxy = await FaultProxy.open(instances[0].rpc);
    const endpoints = [{ host: proxy.host, port: proxy.port }];
    const client = new DcsClient({ endpoints, token: OPERATE_TOKEN, timeoutMs: 400, markDownMs: 0 });
    const grant = await acquire(client, 'a');
    for (const direction of ['toServer', 'toClient'] as const) {
      proxy.silence({ direction, from: 'dcs.leases.renew', bytes: 'swallowed', newConnections: false });
      const startedAt = Date.now();
      await expect(client.renewLease(grant, TTL_MS)).rejects.toMatchObject({ code: 'DITTO_DCS_UNAVAILABLE' });
      expect(Date.now() - startedAt).toBeLessThan(1_000);
      expect(await client.renewLease(grant, TTL_MS)).toBe(true);
    }
    client.close();
    proxy.close();
  });

  test('a lease that is not renewed goes to another owner', async () => {
    await alone[0].acquireLease({ source, owner: 'a', ttlMs: 200 });
    const { grant } = await eventually(
      () => alone[1].acquireLease({ source, owner: 'b', ttlMs: TTL_MS }),
      (answer) => answer.grant !== null,
    );
    expect(grant).toEqual({ source, owner: 'b', token: 2 });
  });

  test('I5: an older token moves no offset, whichever instance is asked', async () => {
    const paused = await acquire(alone[0], 'paused');
    const store = new DcsCheckpointStore(both);
    await store.save(paused, createCheckpoint(source, 1));
    await both.releaseLease(paused);
    const newest = await acquire(alone[1], 'newest');
    const fenced = { code: 'DITTO_LEASE_FENCED', retriable: false };
    for (const client of alone)
      await expect(client.putOffset(paused, createCheckpoint(source, 5))).rejects.toMatchObject(fenced);
    expect(await store.load(source)).toMatchObject({ checkpoint: createCheckpoint(source, 1) });
    await store.save(newest, createCheckpoint(source, 2));
    expect(await alone[0].getOffset(source)).toMatchObject({ checkpoint: createCheckpoint(source, 2) });
  });

  test('I7: what either store knows to be dispatched counts, whichever has the newer checkpoint', async () => {
    const grant = await acquire(both, 'one');
    const further = createCheckpoint(source, 1).dispatchedSet.replace(/\d+$/, '9');
    await durable.save(grant, { ...createCheckpoint(source, 1), dispatchedSet: further });
    await both.putOffset(grant, createCheckpoint(source, 2));
    expect(await both.getOffset(source)).toEqual({
      token: grant.token,
      checkpoint: { ...createCheckpoint(source, 2), dispatchedSet: further },
    });
  });

  test('I5: Redis lost all data: offsets come back, tokens grow, and the owner before moves nothing', async () => {
    const before = await acquire(both, 'before');
    await durable.save(before, createCheckpoint(source, 3));
    await both.putOffset(before, createCheckpoint(source, 4));
    await loseAllData();

    expect(await alone[0].getOffset(source)).toMatchObject({ checkpoint: createCheckpoint(source, 3) });
    expect((await instances[1].get(`/offsets/${source}`)).body).toMatchObject({
      source,
      token: before.token,
      version: version(3),
    });
    expect(await both.renewLease(before, TTL_MS)).toBe(false);
    const after = await acquire(both, 'after');
    expect(after.token).toBeGreaterThan(before.token);
    await loseAllData();
    await expect(both.putOffset(before, createCheckpoint(source, 9))).rejects.toMatchObject({
      code: 'DITTO_LEASE_FENCED',
    });
    expect(await both.getOffset(source)).toMatchObject({ checkpoint: createCheckpoint(source, 3) });
    await both.putOffset(after, createCheckpoint(source, 5));
    expect(await both.getOffset(source)).toMatchObject({ checkpoint: createCheckpoint(source, 5) });
  });

  test('I5: a grant that the state database never gave moves nothing', async () => {
    const made = { source, owner: 'x', token: 7 };
    await expect(both.putOffset(made, createCheckpoint(source, 1))).rejects.toMatchObject({
      code: 'DITTO_LEASE_FENCED',
    });
    expect(await both.getOffset(source)).toBeNull();
  });

  test('the newer of the two copies is given, and put back in Redis', async () => {
    const grant = await acquire(both, 'a');
    await both.putOffset(grant, createCheckpoint(source, 2));
    await durable.save(grant, createCheckpoint(source, 6));
    expect(await both.getOffset(source)).toMatchObject({ checkpoint: createCheckpoint(source, 6) });
    await both.putOffset(grant, createCheckpoint(source, 4));
    expect(await both.getOffset(source)).toMatchObject({ checkpoint: createCheckpoint(source, 6) });
  });

  test('a grant can not put the checkpoint of another source', async () => {
    const grant = await acquire(both, 'a');
    const refused = { code: 'DITTO_REQUEST_INVALID', retriable: false };
    await expect(both.putOffset(grant, createCheckpoint(uniqueName('other'), 1))).rejects.toMatchObject(refused);
    await expect(both.acquireLease({ source, owner: '', ttlMs: 1 })).rejects.toMatchObject(refused);
  });

  test('without the state database leases are renewed and offsets kept, and none is granted', async () => {
    const other = uniqueName('other');
    const grant = await acquire(both, 'a');
    await both.putOffset(grant, createCheckpoint(source, 1));
    stateProxy.cut();
    try {
      expect(await both.renewLease(grant, TTL_MS)).toBe(true);
      await both.putOffset(grant, createCheckpoint(source, 2));
      expect(await both.getOffset(source)).toMatchObject({ checkpoint: createCheckpoint(source, 2) });
      const down = { code: 'DITTO_STATE_UNAVAILABLE', retriable: true };
      await expect(both.acquireLease({ source: other, owner: 'b', ttlMs: TTL_MS })).rejects.toMatchObject(down);
      await expect(both.getOffset(other)).rejects.toMatchObject(down);
      expect(await instances[0].get('/health/ready')).toMatchObject({ status: 200 });
      expect((await instances[0].get(`/offsets/${source}`)).status).toBe(200);
      expect((await instances[0].get(`/offsets/${other}`)).status).toBe(503);
    } finally {
      stateProxy.restore();
    }
    const { grant: granted } = await both.acquireLease({ source: other, owner: 'b', ttlMs: TTL_MS });
    expect(granted).toMatchObject({ source: other, owner: 'b' });
  });

  test('RPC needs a token with the role that the call asks for', async () => {
    const clients = { nobody: connect(instances, null), reader: connect(instances, READ_TOKEN) };
    try {
      await expect(clients.nobody.getOffset(source)).rejects.toMatchObject({
        code: 'DITTO_AUTH_REQUIRED',
        retriable: false,
      });
      await expect(clients.reader.acquireLease({ source, owner: 'a', ttlMs: TTL_MS })).rejects.toMatchObject({
        code: 'DITTO_AUTH_FORBIDDEN',
      });
      expect(await clients.reader.getOffset(source)).toBeNull();
    } finally {
      for (const client of Object.values(clients)) client.close();
    }
  });

  test('people see offsets, leases, services and servers', async () => {
    const grant = await acquire(both, 'a');
    await alone[0].putOffset(grant, createCheckpoint(source, 1));
    const status = {
      service: 'dss',
      instance: uniqueName('dss'),
      startedAtMs: 1,
      reportedAtMs: 2,
      url: null,
      details: { pipelines: 1 },
    } as const;
    await both.reportService(status, TTL_MS);
    const nothing = {
      unreachableSinceMs: null,
      error: null,
      serverVersion: null,
      executedGtidSet: null,
      purgedGtidSet: null,
      replicaLagMs: null,
      clockOffsetMs: null,
      replicaError: null,
    };
    const heartbeat = {
      ...nothing,
      endpoint: 'db:3306',
      probedAtMs: 1,
      reachable: true,
      serverUuid: 'u',
      readOnly: false,
      superReadOnly: false,
      roundTripMs: 0.4,
    };
    await both.reportServers(deployment.source, [heartbeat], TTL_MS);
    expect(await both.listServers(deployment.source)).toEqual([heartbeat]);

    const offset = {
      source,
      token: 1,
      lineage: 1,
      version: version(1),
      committedAt: '2026-11-18T11:06:40.000007Z',
      savedAt: '1970-01-01T00:00:00.001Z',
    };
    expect((await instances[0].get('/offsets')).body).toMatchObject({
      offsets: expect.arrayContaining([expect.objectContaining(offset)]),
    });
    expect((await instances[1].get('/leases')).body).toMatchObject({
      leases: expect.arrayContaining([expect.objectContaining({ source, owner: 'a', token: 1 })]),
    });
    const listServices = async () =>
      ((await instances[1].get('/services')).body as { services: { service: string }[] }).services;
    expect(await listServices()).toContainEqual(status);
    await eventually(listServices, (services) => services.filter(({ service }) => service === 'dcs').length === 2);
    expect((await instances[0].get('/servers')).body).toEqual({
      sources: [{ source: deployment.source, servers: [heartbeat] }],
    });
    expect(await instances[0].get('/offsets/nobody')).toMatchObject({
      status: 404,
      body: { code: 'DITTO_OFFSET_UNKNOWN' },
    });
    expect((await instances[0].get('/metrics')).text).toMatch(
      new RegExp(`ditto_dcs_offset_puts_total\\{source="${source}",outcome="stored"\\} 1`),
    );
  });
});

describe('an instance of DCS goes away', () => {
  test('clients continue with the other, and fail with a code when there is none', async () => {
    const deployment = await createDeployment();
    const instances = [await DcsInstance.start(deployment), await DcsInstance.start(deployment)];
    const client = new DcsClient({
      endpoints: instances.map(({ rpc }) => rpc),
      token: OPERATE_TOKEN,
      timeoutMs: 5_000,
    });
    try {
      const acquire = () => client.acquireLease({ source: 'shop', owner: 'a', ttlMs: TTL_MS });
      const { grant } = await eventually(
        () => acquire().catch(() => ({ grant: null })),
        (answer) => answer.grant !== null,
      );
      if (!grant) throw new Error('no grant');
      await client.putOffset(grant, createCheckpoint('shop', 1));
      await instances.shift()?.close();
      for (let n = 2; n < 6; n++) await client.putOffset(grant, createCheckpoint('shop', n));
      expect(await client.renewLease(grant, TTL_MS)).toBe(true);
      await instances.shift()?.close();
      await expect(client.renewLease(grant, TTL_MS)).rejects.toMatchObject({
        code: 'DITTO_DCS_UNAVAILABLE',
        retriable: true,
      });
      instances.push(await DcsInstance.start(deployment));
    } finally {
      client.close();
      await Promise.all(instances.map((instance) => instance.close()));
    }
  }, 60_000);

  test('without Redis an instance is not ready and reports what is wrong; with it, it continues', async () => {
    const proxy = await FaultProxy.open((await testStack()).endpoint('redis'));
    const deployment = await createDeployment({ redisUrl: `redis://${proxy.host}:${proxy.port}` });
    const instance = await DcsInstance.start(deployment);
    const client = new DcsClient({ endpoints: [instance.rpc], token: OPERATE_TOKEN, timeoutMs: 5_000 });
    try {
      expect((await instance.get('/health/ready')).status).toBe(200);
      proxy.cut();
      expect(
        (
          await eventually(
            () => instance.get('/health/ready'),
            ({ status }) => status === 503,
          )
        ).text,
      ).toContain('DITTO_REDIS_UNAVAILABLE');
      expect((await instance.get('/health/live')).status).toBe(200);
      await expect(client.listLeases()).rejects.toMatchObject({ code: 'DITTO_REDIS_UNAVAILABLE', retriable: true });
      proxy.restore();
      await eventually(
        () => instance.get('/health/ready'),
        ({ status }) => status === 200,
      );
      expect(await client.listLeases()).toEqual([]);
    } finally {
      client.close();
      await instance.close();
      proxy.close();
    }
  }, 60_000);
});
