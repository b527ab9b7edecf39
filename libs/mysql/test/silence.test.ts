import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { silentLogger } from '#kernel';
import { MySqlChangeSource } from '#mysql';
import { type SourceItem } from '#replication';
import { OwnServer, FaultProxy } from '#testing';
import { position, TestSource } from './test-source.ts';

const SILENCE_MS = 400;
/** The command with the offset 4, where a dump by GTID begins (MySQL manual, COM_BINLOG_DUMP). */
const COM_BINLOG_DUMP = '\x12\x04\0\0\0';

describe.each(['mysql-primary', 'mariadb'] as const)('a stream from %s through a network of many moods', (name) => {
  let server: OwnServer;
  let source: TestSource;
  let proxy: FaultProxy;

  beforeAll(async () => {
    server = await OwnServer.start(name);
    source = await TestSource.open('silence', server.url);
    await source.run('CREATE TABLE t (id INT PRIMARY KEY, v LONGTEXT)');
    proxy = await FaultProxy.open({ host: source.connection.host, port: source.connection.port });
  }, 300_000);
  afterAll(async () => {
    proxy.close();
    await source.close();
    await server.end();
  });

  /** Reads rows until one has this id. */
  async function readUntil(id: number, from: string): Promise<void> {
    const reader = new MySqlChangeSource({
      connection: { ...source.connection, host: proxy.host, port: proxy.port },
      logger: silentLogger,
      heartbeatMs: SILENCE_MS / 4,
      silenceMs: SILENCE_MS,
    });
    const { signal } = new AbortController();
    for await (const { items } of reader.stream({ from: position(from), includes: source.includes, signal }))
      if (items.some((item) => hasId(item, id))) return;
  }

  function hasId(item: SourceItem, id: number): boolean {
    return item.type === 'rows' && item.after?.row(0)[0] === id;
  }

  test('I1: an event that takes longer than the limit to arrive is read', async () => {
    const from = await source.executedSet();
    await source.run("INSERT INTO t VALUES (1, REPEAT('wide ', 200000))");
    proxy.throttle(600_000, 'toClient');
    try {
      const began = performance.now();
      await readUntil(1, from);
      expect(performance.now() - began).toBeGreaterThan(2 * SILENCE_MS);
    } finally {
      proxy.restore();
    }
  });

  test('a server that says nothing in the middle of an event is noticed', async () => {
    const from = await source.executedSet();
    await source.run("INSERT INTO t VALUES (2, REPEAT('wide ', 400000))");
    proxy.throttle(600_000, 'toClient');
    const { toClient } = proxy.deliveredBytes;
    const reading = readUntil(2, from);
    const outcome = expect(reading).rejects.toMatchObject({ code: 'DITTO_SOURCE_SILENT', retriable: true });
    while (proxy.deliveredBytes.toClient < toClient + 500_000) await new Promise((resolve) => setTimeout(resolve, 10));
    proxy.silence();
    try {
      await outcome;
    } finally {
      proxy.restore();
    }
    await readUntil(2, from);
  });
});

describe('MariaDB passing over the log before the place of the start', () => {
  let server: OwnServer;
  let source: TestSource;
  let proxy: FaultProxy;

  beforeAll(async () => {
    server = await OwnServer.start('mariadb');
    source = await TestSource.open('seek', server.url);
    proxy = await FaultProxy.open({ host: source.connection.host, port: source.connection.port });
  }, 300_000);
  afterAll(async () => {
    proxy.close();
    await source.close();
    await server.end();
  });

  /** The dump sends nothing after its beginning, as while the server seeks; other connections work. */
  function startSilently(from: string): Promise<SourceItem[]> {
    const reader = new MySqlChangeSource({
      connection: { ...source.connection, host: proxy.host, port: proxy.port },
      logger: silentLogger,
      heartbeatMs: SILENCE_MS / 4,
      silenceMs: SILENCE_MS,
    });
    proxy.silence({ direction: 'toClient', from: COM_BINLOG_DUMP });
    const read = async (): Promise<SourceItem[]> => {
      const { signal } = new AbortController();
      for await (const { items } of reader.stream({ from: position(from), includes: source.includes, signal }))
        if (items.some(({ type }) => type === 'rows')) return [...items];
      return [];
    };
    return read();
  }

  test('I1: is waited for while its dump still runs', async () => {
    await source.run('CREATE TABLE t (id INT PRIMARY KEY)');
    const from = await source.executedSet();
    await source.run('INSERT INTO t VALUES (1)');
    const reading = startSilently(from);
    await new Promise((resolve) => setTimeout(resolve, 4 * SILENCE_MS));
    proxy.restore();
    expect((await reading).map(({ type }) => type)).toContain('rows');
  });

  test('is left when it no longer answers', async () => {
    const from = await source.executedSet();
    await source.run('INSERT INTO t VALUES (2)');
    const reading = startSilently(from);
    const outcome = expect(reading).rejects.toMatchObject({ code: 'DITTO_SOURCE_SILENT' });
    await new Promise((resolve) => setTimeout(resolve, 2 * SILENCE_MS));
    proxy.silence();
    await outcome;
    proxy.restore();
  });
});
