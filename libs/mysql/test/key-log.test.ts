import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { KeyLog, type KeyLogEnd, type KeyLogRequest, type LoggedChange, MySqlRowReader } from '#mysql';
import { rowOfKey, type TableLayout } from '#change-events';
import { silentLogger } from '#kernel';
import { OwnServer } from '#testing';
import { TestSource } from './test-source.ts';

let server: OwnServer;
let source: TestSource;
let serverUuid: string;
let layout: TableLayout;

beforeAll(async () => {
  server = await OwnServer.start('mysql-primary');
  source = await TestSource.open('keylog', server.url);
  serverUuid = (await source.value('SELECT @@server_uuid')) ?? '';
  await source.run(
    'CREATE TABLE t (id INT, part VARCHAR(9) COLLATE utf8mb4_0900_ai_ci, v VARCHAR(100), PRIMARY KEY (id, part))',
    'CREATE TABLE other (id INT PRIMARY KEY, v LONGTEXT)',
  );
  const reader = new MySqlRowReader({ connection: source.connection, includes: source.includes });
  const found = await reader.readLayout({ database: source.database, table: 't' }, AbortSignal.timeout(10_000));
  reader.close();
  if (found === null) throw new Error('no layout');
  layout = found;
}, 300_000);
afterAll(async () => {
  await source.close();
  await server.end();
});

async function read(
  from: { readonly file: string; readonly offset: number },
  given: Partial<KeyLogRequest> = {},
): Promise<{ readonly changes: readonly LoggedChange[]; readonly end: KeyLogEnd }> {
  const changes: LoggedChange[] = [];
  const end = await new KeyLog({ connection: source.connection, logger: silentLogger }).read({
    from: { ...from, serverUuid },
    layout,
    keys: [rowOfKey(layout, [1, 'a'])],
    mostBytes: 100_000_000,
    mostMs: 20_000,
    signal: AbortSignal.timeout(30_000),
    onChange: (change) => void changes.push(change),
    ...given,
  });
  return { changes, end };
}

describe('KeyLog', () => {
  test('gives the changes of one key with their places, up to the end of the log', async () => {
    const from = await source.logEnd();
    await source.run(
      "INSERT INTO t VALUES (1, 'b', 'no'), (1, 'a', 'one')",
      "INSERT INTO t VALUES (1, 'á', 'same for the collation') ON DUPLICATE KEY UPDATE v = 'two'",
      "INSERT INTO other VALUES (1, 'x')",
      'FLUSH BINARY LOGS',
      "UPDATE t SET id = 2 WHERE id = 1 AND part = 'a'",
      "UPDATE t SET id = 1 WHERE id = 2 AND part = 'a'",
      "DELETE FROM t WHERE part = 'a'",
      "INSERT INTO t VALUES (3, 'b', 'no')",
    );
    const { changes, end } = await read(from);
    expect(changes.map(({ op, rowIndex, before, after }) => [op, rowIndex, before?.[2], after?.[2]])).toEqual([
      ['create', 1, undefined, 'one'],
      ['update', 0, 'one', 'two'],
      ['delete', 0, 'two', undefined],
      ['create', 0, undefined, 'two'],
      ['delete', 0, 'two', undefined],
    ]);
    const [first, , other] = changes.map(({ transaction }) => transaction);
    expect(first).toMatchObject({ ...from, serverUuid, gtid: expect.stringContaining(serverUuid) });
    expect(Math.abs((first?.commitMicros ?? 0) / 1000 - Date.now())).toBeLessThan(600_000);
    expect(other?.file).not.toBe(from.file);
    expect(end).toEqual({ ...(await source.logEnd()), bytes: end.bytes, transactions: 7, cutBecause: null });

    // the place of one transaction gives that transaction and what follows
    const again = await read({ file: other?.file ?? '', offset: other?.offset ?? 0 });
    expect(again.changes.map(({ op }) => op)).toEqual(['delete', 'create', 'delete']);
  });

  test('gives the changes of several keys, and ends with the transaction that is the last of interest', async () => {
    const from = await source.logEnd();
    await source.run("INSERT INTO t VALUES (5, 'a', 'x'), (6, 'a', 'y'), (7, 'a', 'z')", 'FLUSH BINARY LOGS');
    const until = await source.logEnd();
    await source.run("UPDATE t SET id = 8 WHERE id = 5 AND part = 'a'", "DELETE FROM t WHERE part = 'a'");
    const keys = [5, 7, 8].map((id) => rowOfKey(layout, [id, 'a']));
    const { changes, end } = await read(from, { keys, until });
    expect(changes.map(({ key, op, rowIndex }) => [key, op, rowIndex])).toEqual([
      ['[5,"a"]', 'create', 0],
      ['[7,"a"]', 'create', 2],
      ['[5,"a"]', 'delete', 0],
      ['[8,"a"]', 'create', 0],
    ]);
    expect(end).toMatchObject({ transactions: 2, cutBecause: null });
    expect((await read(from, { keys })).changes).toHaveLength(6);
  });

  test('ends at once where nothing follows, also in a file that has just begun', async () => {
    await source.run("REPLACE INTO t VALUES (1, 'a', 'last')", 'FLUSH BINARY LOGS', 'FLUSH BINARY LOGS');
    const from = await source.logEnd();
    const began = performance.now();
    const { changes, end } = await read(from, { mostMs: 3000 });
    expect(changes).toEqual([]);
    expect(end).toMatchObject({ ...from, transactions: 0, cutBecause: null });
    expect(performance.now() - began).toBeLessThan(2500);
  });

  test('says where it was cut by its bounds', async () => {
    const from = await source.logEnd();
    for (let i = 0; i < 20; i++) await source.run(`REPLACE INTO other VALUES (${i + 10}, REPEAT('x', 1000000))`);
    await source.run("REPLACE INTO t VALUES (1, 'a', 'beyond the bound')", "DELETE FROM t WHERE part = 'a'");
    const { changes, end } = await read(from, { mostBytes: 3_000_000 });
    expect([changes.length, end.cutBecause]).toEqual([0, 'more than 3000000 bytes of the log were read']);
    expect(end.transactions).toBeGreaterThan(0);
    expect((await read(from)).changes).toHaveLength(2);
  });

  test('refuses a place that is purged, one that is not the beginning of an event, and one of another server', async () => {
    const from = await source.logEnd();
    await source.run("REPLACE INTO t VALUES (1, 'a', 'x')", "DELETE FROM t WHERE part = 'a'");
    const refused = (code: string) => expect.objectContaining({ code });
    await expect(read({ ...from, offset: from.offset + 3 })).rejects.toEqual(refused('DITTO_SOURCE_PLACE_INVALID'));
    await expect(read(from, { from: { ...from, serverUuid: 'other' } })).rejects.toEqual(
      refused('DITTO_SOURCE_OTHER_SERVER'),
    );
    await source.run('FLUSH BINARY LOGS');
    await source.run(`PURGE BINARY LOGS TO '${(await source.logEnd()).file}'`);
    await expect(read(from)).rejects.toEqual(refused('DITTO_SOURCE_PURGED'));
  });
});
