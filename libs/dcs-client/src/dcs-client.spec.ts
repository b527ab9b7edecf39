import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { type Checkpoint } from '#change-events';
import { DcsCheckpointStore } from './dcs-checkpoint-store.ts';
import { DcsClient } from './dcs-client.ts';

interface Packet {
  readonly id: string;
  readonly pattern: string;
  readonly data: { readonly token: string | null; readonly data: Readonly<Record<string, unknown>> };
}
type Reply = { readonly response: unknown } | { readonly err: unknown } | null;

/** Speaks the framing of Nest's TCP transport: length, #, JSON. */
class FakeInstance {
  readonly received: Packet[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(reply: (packet: Packet) => Reply) {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => socket.destroy());
      let buffered = '';
      socket.on('data', (bytes) => {
        buffered += bytes.toString();
        for (let hash = buffered.indexOf('#'); hash > 0; hash = buffered.indexOf('#')) {
          const length = Number(buffered.slice(0, hash));
          if (buffered.length < hash + 1 + length) return;
          const packet = JSON.parse(buffered.slice(hash + 1, hash + 1 + length)) as Packet;
          buffered = buffered.slice(hash + 1 + length);
          this.received.push(packet);
          const answer = reply(packet);
          if (!answer) continue;
          const text = JSON.stringify({ ...answer, id: packet.id, isDisposed: true });
          socket.write(`${text.length}#${text}`);
        }
      });
    });
  }

  async listen(): Promise<{ host: string; port: number }> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const address = this.#server.address();
    if (typeof address !== 'object' || !address) throw new Error('not listening');
    return { host: '127.0.0.1', port: address.port };
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

const grant = { source: 'shop', owner: 'a', token: 3 };
const checkpoint: Checkpoint = {
  source: 'shop',
  lineage: 1,
  position: { gtidSet: '3E11FA47-71CA-11E1-9E33-C80AA9429562:1-5', file: 'binlog.000001', offset: 4, serverUuid: 'u' },
  dispatchedSet: '3E11FA47-71CA-11E1-9E33-C80AA9429562:1-7',
  undecidedSet: '3e11fa47-71ca-11e1-9e33-c80aa9429562:11',
  version: '',
  commitMicros: 1,
  lastCovered: null,
  lastDispatched: null,
  savedAtMs: 2,
};

describe('DcsClient', () => {
  const instances: FakeInstance[] = [];
  const clients: DcsClient[] = [];
  afterEach(() => {
    for (const client of clients.splice(0)) client.close();
    for (const instance of instances.splice(0)) instance.close();
  });

  async function startInstance(
    reply: (packet: Packet) => Reply,
  ): Promise<{ instance: FakeInstance; address: { host: string; port: number } }> {
    const instance = new FakeInstance(reply);
    instances.push(instance);
    return { instance, address: await instance.listen() };
  }

  function createClient(endpoints: { host: string; port: number }[], timeoutMs = 300): DcsClient {
    const client = new DcsClient({ endpoints, token: 'secret', timeoutMs, markDownMs: 60_000 });
    clients.push(client);
    return client;
  }

  test('shows its token with every message', async () => {
    const { instance, address } = await startInstance(() => ({ response: { renewed: true } }));
    expect(await createClient([address]).renewLease(grant, 1_000)).toBe(true);
    expect(instance.received[0]).toMatchObject({
      pattern: 'dcs.leases.renew',
      data: { token: 'secret', data: { grant, ttlMs: 1_000 } },
    });
  });

  test('spreads calls over the instances', async () => {
    const one = await startInstance(() => ({ response: { renewed: true } }));
    const two = await startInstance(() => ({ response: { renewed: true } }));
    const client = createClient([one.address, two.address]);
    for (let i = 0; i < 6; i++) await client.renewLease(grant, 1_000);
    expect([one.instance.received.length, two.instance.received.length]).toEqual([3, 3]);
  });

  test('asks the next instance when one is gone or silent, and then leaves that one alone', async () => {
    const gone = await startInstance(() => null);
    gone.instance.close();
    const silent = await startInstance(() => null);
    const alive = await startInstance(() => ({ response: { renewed: true } }));
    const client = createClient([gone.address, silent.address, alive.address]);
    for (let i = 0; i < 5; i++) expect(await client.renewLease(grant, 1_000)).toBe(true);
    expect(silent.instance.received).toHaveLength(1);
    expect(alive.instance.received).toHaveLength(5);
  });

  test('asks the next instance when an older one does not know a message, and goes on to ask both', async () => {
    const renewed = { response: { renewed: true } };
    const unknown = { err: 'There is no matching message handler defined in the remote service.' };
    const found = { response: { isKept: true, isComplete: true, changes: [] } };
    const older = await startInstance(({ pattern }) => (pattern === 'dcs.events.find' ? unknown : renewed));
    const newer = await startInstance(({ pattern }) => (pattern === 'dcs.events.find' ? found : renewed));
    const client = createClient([older.address, newer.address]);
    const request = { source: 'shop', table: 'shop.orders', key: '{"id":1}', limit: 10 };
    expect(await client.findChanges(request)).toMatchObject({ changes: [] });
    const before = older.instance.received.length;
    for (let i = 0; i < 6; i++) await client.renewLease(grant, 1_000);
    expect(older.instance.received.length - before).toBe(3);
    const alone = createClient([older.address]);
    await expect(alone.findChanges(request)).rejects.toMatchObject({
      code: 'DITTO_DCS_UNAVAILABLE',
      message: expect.stringContaining('no matching message handler'),
    });
  });

  test('says that DCS is unavailable, to be tried again, when nobody answers', async () => {
    const silent = await startInstance(() => null);
    const client = createClient([silent.address], 50);
    await expect(client.getOffset('shop')).rejects.toMatchObject({ code: 'DITTO_DCS_UNAVAILABLE', retriable: true });
    await expect(client.getOffset('shop')).rejects.toMatchObject({ code: 'DITTO_DCS_UNAVAILABLE', retriable: true });
    expect(silent.instance.received).toHaveLength(2);
  });

  test('leaves no connection behind to an instance that is silent and never closes its side', async () => {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const countSockets = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
    const accepted: Socket[] = [];
    server.on('connection', (socket) => void accepted.push(socket.on('error', () => undefined)));
    // until the connections of the tests before are gone
    await new Promise((resolve) => setTimeout(resolve, 50));
    const before = countSockets();
    const client = createClient([{ host: '127.0.0.1', port }], 50);
    for (let call = 0; call < 3; call++)
      await expect(client.getOffset('shop')).rejects.toMatchObject({ code: 'DITTO_DCS_UNAVAILABLE' });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(accepted).toHaveLength(3);
    expect(countSockets() - before).toBe(accepted.length);
    for (const socket of accepted) socket.destroy();
    server.close();
  });

  test('I5: the attempts to get a lease grow from message to message, also within one call', async () => {
    const silent = await startInstance(() => null);
    const alive = await startInstance(() => ({ response: { grant, holder: null } }));
    const client = createClient([silent.address, alive.address], 50);
    for (let call = 0; call < 2; call++) await client.acquireLease({ source: 'shop', owner: 'a', ttlMs: 1_000 });
    const attempts = [...silent.instance.received, ...alive.instance.received].map(({ data }) => data.data['attempt']);
    expect(attempts).toHaveLength(3);
    expect(attempts).toEqual([...new Set(attempts)].sort((a, b) => Number(a) - Number(b)));
  });

  test('I5: a fenced put comes through as DITTO_LEASE_FENCED and is asked of one instance only', async () => {
    const err = {
      code: 'DITTO_LEASE_FENCED',
      message: 'older',
      retriable: false,
      remedy: null,
      context: { newest: 4 },
    };
    const one = await startInstance(() => ({ err }));
    const two = await startInstance(() => ({ err }));
    const store = new DcsCheckpointStore(createClient([one.address, two.address]));
    await expect(store.save(grant, checkpoint)).rejects.toMatchObject({
      code: 'DITTO_LEASE_FENCED',
      retriable: false,
      context: { newest: 4 },
    });
    expect(one.instance.received.length + two.instance.received.length).toBe(1);
  });

  test('asks the next instance when one says that its servers are down, and passes on what it said', async () => {
    const err = { code: 'DITTO_REDIS_UNAVAILABLE', message: 'down', retriable: true, remedy: null, context: {} };
    const one = await startInstance(() => ({ err }));
    const two = await startInstance(() => ({ response: { token: 5, checkpoint } }));
    const store = new DcsCheckpointStore(createClient([one.address, two.address]));
    expect(await store.load('shop')).toEqual({ token: 5, checkpoint });
    const three = await startInstance(() => ({ err }));
    await expect(createClient([one.address, three.address]).getOffset('shop')).rejects.toMatchObject({
      code: 'DITTO_REDIS_UNAVAILABLE',
    });
  });
});
