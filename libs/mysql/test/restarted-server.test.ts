import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Deferred } from '#kernel';
import { MySqlRowReader } from '#mysql';
import { OwnServer } from '#testing';
import { TestSource } from './test-source.ts';

const signal = new AbortController().signal;
const ROWS = 400;
const MOST_BYTES = 1024 * 1024;

/** Passes connections on to a server, the second one and those after it only once `opened` resolves. */
class Gate {
  readonly asked = new Deferred<undefined>();
  readonly opened = new Deferred<undefined>();
  readonly #server: Server;
  readonly #sockets: Socket[] = [];
  #connections = 0;

  constructor(target: { readonly host: string; readonly port: number }) {
    this.#server = createServer((client) => void this.#pass(client, target));
    this.#server.listen(0, '127.0.0.1');
  }

  async port(): Promise<number> {
    if (!this.#server.listening) await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  async #pass(client: Socket, target: { readonly host: string; readonly port: number }): Promise<void> {
    client.on('error', () => undefined);
    if (++this.#connections > 1) {
      this.asked.resolve(undefined);
      await this.opened.promise;
    }
    const server = connect(target).on('error', () => client.destroy());
    this.#sockets.push(client, server);
    client.pipe(server);
    server.pipe(client);
  }
}

describe.each(['mysql-primary', 'mariadb'] as const)('%s, started again in the middle of a read', (name) => {
  let server: OwnServer;
  let source: TestSource;

  beforeAll(async () => {
    server = await OwnServer.start(name);
    source = await TestSource.open('restarted', server.url);
    const depth = source.isMariaDb ? 'max_recursive_iterations' : 'cte_max_recursion_depth';
    await source.run(
      'CREATE TABLE t (id INT PRIMARY KEY, v LONGTEXT)',
      `SET SESSION ${depth} = ${ROWS}`,
      `INSERT INTO t WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
         SELECT i, REPEAT('x', 100000) FROM n`,
    );
  }, 300_000);
  afterAll(async () => {
    await source.close();
    await server.end();
  });

  /** A read that its bound ends, with what is done before anybody asks what it saw. */
  async function readAround(work: () => Promise<unknown>): Promise<unknown> {
    const gate = new Gate(source.connection);
    const connection = { ...source.connection, port: await gate.port(), connectTimeoutMs: 60_000 };
    const reader = new MySqlRowReader({ connection, includes: source.includes });
    try {
      const layout = await reader.readLayout({ database: source.database, table: 't' }, signal);
      if (layout === null) throw new Error('no table t');
      const request = { layout, after: null, limit: ROWS, maxBytes: MOST_BYTES, dispatchedSet: '', signal };
      const read = reader.readChunk(request).then(
        ({ rows }) => rows.length,
        (error: unknown) => error,
      );
      await gate.asked.promise;
      await work();
      gate.opened.resolve(undefined);
      return await read;
    } finally {
      reader.close();
      gate.close();
    }
  }

  /** A server that has just come up looks like one that comes up during a read: that is tried again. */
  async function readUndisturbed(): Promise<number> {
    for (;;) {
      const rows = await readAround(() => Promise.resolve());
      if (typeof rows === 'number') return rows;
      expect(rows).toMatchObject({ message: expect.stringContaining('was started again') });
    }
  }

  test('I4: what a read saw is not asked of a server that may have lost it since', async () => {
    expect(await readUndisturbed()).toBeGreaterThan(5);
    const error = await readAround(async () => {
      await server.stack.kill(name);
      await server.stack.start(name);
    });
    source = await TestSource.reopen(source);
    const kept = expect.stringContaining(`:${source.connection.port}/`);
    expect(error).toMatchObject({
      code: 'DITTO_SOURCE_CONNECTION_LOST',
      retriable: true,
      message: expect.stringContaining('was started again'),
      context: { server: kept, other: kept },
    });
    expect(await readUndisturbed()).toBeGreaterThan(5);
  }, 120_000);
});
