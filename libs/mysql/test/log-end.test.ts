import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { binlogFileNumber } from '#change-events';
import { LogEndReader, MySqlEndpoint } from '#mysql';
import { type LogEnd } from '../src/endpoint/log-end.ts';
import { eventually, FaultProxy, OwnServer } from '#testing';
import { TestSource } from './test-source.ts';

const signal = new AbortController().signal;

describe.each(['MySQL', 'MariaDB'])('the end of the log of %s', (kind) => {
  let server: OwnServer | null = null;
  let source: TestSource;
  let reader: LogEndReader;

  beforeAll(async () => {
    if (kind === 'MariaDB') server = await OwnServer.start('mariadb');
    source = await TestSource.open('logend', server?.url);
    await source.run('CREATE TABLE t (id INT PRIMARY KEY)');
    reader = new LogEndReader(source.connection);
  }, 300_000);
  afterAll(async () => {
    reader.close();
    await source.close();
    await server?.end();
  });

  test('I8: is after every change that the stream has given by then', async () => {
    const { serverUuid } = await new MySqlEndpoint(source.connection).inspect(signal);
    const position = { gtidSet: await source.executedSet(), file: '', offset: 0, serverUuid };
    await source.run('INSERT INTO t VALUES (1)', 'INSERT INTO t VALUES (2), (3)', 'FLUSH BINARY LOGS');
    await source.run('INSERT INTO t VALUES (4)');
    const changes = source.source();
    const stop = new AbortController();
    let [rows, given] = [0, ''];
    for await (const { items } of changes.stream({ from: position, includes: source.includes, signal: stop.signal })) {
      for (const item of items) {
        if (item.type === 'rows') rows += item.after?.count ?? 0;
        if (item.type !== 'begin') continue;
        const { file, offset } = item.transaction;
        const end = await reader.read(signal);
        expect(end?.serverUuid).toBe(serverUuid);
        expect(comparePlaces({ file, offset }, end ?? { file: '', offset: 0 })).toBeLessThan(0);
        given = file;
      }
      if (rows === 4) stop.abort();
    }
    expect((await reader.read(signal))?.file).toBe(given);
  });

  test('is not unknown because the connection broke while the server was asked for it', async () => {
    const statements = ['SHOW BINARY LOG STATUS', ...(kind === 'MariaDB' ? ['SHOW MASTER STATUS'] : [])];
    const proxy = await FaultProxy.open(source.connection);
    const through = new LogEndReader({ ...source.connection, host: proxy.host, port: proxy.port });
    try {
      expect(await through.read(signal)).not.toBeNull();
      for (const from of statements) {
        proxy.silence({ direction: 'toClient', bytes: 'swallowed', from });
        const before = proxy.receivedBytes.toClient;
        const broken = through.read(signal);
        await Promise.all([
          expect(broken).rejects.toMatchObject({ code: 'DITTO_SOURCE_CONNECTION_LOST', retriable: true }),
          eventually(
            () => proxy.receivedBytes.toClient,
            (bytes) => bytes > before,
          ).then(() => proxy.cutConnections()),
        ]);
        proxy.restore();
        // others write too
        const ends = [await reader.read(signal), await through.read(signal), await reader.read(signal)];
        expect(ends.map((end) => end?.serverUuid)).toEqual(Array<unknown>(3).fill(ends[0]?.serverUuid));
        const [first, found, last] = ends as [LogEnd, LogEnd, LogEnd];
        expect(comparePlaces(first, found)).toBeLessThanOrEqual(0);
        expect(comparePlaces(found, last)).toBeLessThanOrEqual(0);
      }
    } finally {
      through.close();
      proxy.close();
    }
  });

  test('a server that does not answer is a coded error', async () => {
    const nobody = new LogEndReader({ ...source.connection, port: 1 });
    await expect(nobody.read(signal)).rejects.toMatchObject({ code: 'DITTO_SOURCE_UNREACHABLE', retriable: true });
    nobody.close();
  });
});

function comparePlaces(a: { file: string; offset: number }, b: { file: string; offset: number }): number {
  return binlogFileNumber(a.file) - binlogFileNumber(b.file) || a.offset - b.offset;
}
