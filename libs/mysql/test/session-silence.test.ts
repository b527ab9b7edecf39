import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type MySqlConnectionOptions, MySqlEndpoint, MySqlRowReader } from '#mysql';
import { type TableLayout } from '#change-events';
import { type ChunkRead } from '#replication';
import { FaultProxy, testStack } from '#testing';
import { TestSource } from './test-source.ts';

const signal = new AbortController().signal;
const SILENCE_MS = 300;
/** Several times what it takes. */
const SECONDS = 6_000;
const ROWS = 24;

describe.each(['mysql-primary', 'mariadb'] as const)('a session whose peer is silent, %s', (name) => {
  let source: TestSource;
  let proxy: FaultProxy;
  let connection: MySqlConnectionOptions;
  let reader: MySqlRowReader;
  let layout: TableLayout;

  beforeAll(async () => {
    source = await TestSource.open('silence', (await testStack()).url(name));
    await source.run('CREATE TABLE t (id INT PRIMARY KEY, v LONGTEXT)');
    const rows = Array.from({ length: ROWS }, (_, id) => `(${id}, REPEAT('x', 1000000))`);
    await source.run(`INSERT INTO t VALUES ${rows.join(', ')}`);
  });
  afterAll(async () => {
    await source.close();
  });
  beforeEach(async () => {
    proxy = await FaultProxy.open(source.connection);
    const { host, port } = proxy;
    connection = { ...source.connection, host, port, silenceMs: SILENCE_MS, connectTimeoutMs: 2 * SILENCE_MS };
    reader = open(connection);
    const [found] = await reader.listTables(signal);
    if (found === undefined) throw new Error('no table');
    layout = found;
  });
  afterEach(() => {
    reader.close();
    proxy.close();
  });

  function open(options: MySqlConnectionOptions): MySqlRowReader {
    return new MySqlRowReader({ connection: options, includes: source.includes });
  }

  function read(limit: number, from = reader): Promise<ChunkRead> {
    return from.readChunk({ layout, after: null, limit, dispatchedSet: '', signal });
  }

  async function expectSilent(reading: Promise<unknown>): Promise<void> {
    const startedAtMs = performance.now();
    await expect(reading).rejects.toMatchObject({ code: 'DITTO_SOURCE_SILENT', retriable: true });
    expect(performance.now() - startedAtMs).toBeLessThan(SECONDS);
  }

  test('is dropped when an answer is lost, and the next read works', async () => {
    await read(1);
    proxy.silence({ direction: 'toClient', bytes: 'swallowed', from: 'FROM `' });
    await expectSilent(read(1));
    proxy.restore();
    expect((await read(3)).rows).toHaveLength(3);
  });

  test('is dropped when a request is lost', async () => {
    await read(1);
    proxy.silence({ bytes: 'swallowed', newConnections: false });
    await expectSilent(read(1));
    expect((await read(3)).rows).toHaveLength(3);
  });

  test('is dropped when nobody answers on new connections either', async () => {
    await read(1);
    proxy.silence({ bytes: 'swallowed' });
    await expectSilent(read(1));
    await expect(new MySqlEndpoint(connection).inspect(signal)).rejects.toMatchObject({ retriable: true });
    proxy.restore();
    expect((await read(3)).rows).toHaveLength(3);
  });

  test('is dropped when what the server sends is no longer taken', async () => {
    const stuck = new StuckProxy(source.connection);
    const through = open({ ...connection, port: await stuck.listen() });
    await read(1, through);
    stuck.stopReading();
    await expectSilent(read(ROWS, through));
    through.close();
    stuck.close();
  });

  test('is not dropped while the server works on a query', async () => {
    const patient = open({ ...connection, silenceMs: 2 * SILENCE_MS, connectTimeoutMs: 10_000 });
    await read(1, patient);
    await source.run('LOCK TABLES t WRITE');
    const reading = read(3, patient);
    // three looks
    await new Promise((resolve) => setTimeout(resolve, 7 * SILENCE_MS));
    await source.run('UNLOCK TABLES');
    expect((await reading).rows).toHaveLength(3);
    patient.close();
  });
});

/**
 * Its buffers and the buffers of its sockets fill up: the server waits in the middle of an answer. New connections
 * work.
 */
class StuckProxy {
  readonly #server: Server;
  readonly #upstreams: Socket[] = [];
  readonly #sockets: Socket[] = [];

  constructor(target: { readonly host: string; readonly port: number }) {
    this.#server = createServer((socket) => {
      const upstream = connect(target.port, target.host);
      this.#upstreams.push(upstream);
      this.#sockets.push(socket, upstream);
      for (const one of [socket, upstream]) one.on('error', () => one.destroy());
      socket.pipe(upstream);
      upstream.on('data', (bytes) => socket.write(bytes));
    });
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  stopReading(): void {
    for (const upstream of this.#upstreams) upstream.pause();
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}
