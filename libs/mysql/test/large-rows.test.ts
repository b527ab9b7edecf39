import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { compileColumnSelection } from '#change-events';
import { silentLogger } from '#kernel';
import { MySqlChangeSource } from '#mysql';
import { OwnServer } from './own-server.ts';
import { TestSource } from './test-source.ts';

const MEBIBYTE = 1024 * 1024;
const MOST_BYTES = 17 * MEBIBYTE;
/** The event comes in three packets, of which one is read before it is refused. */
const WIDE = 40 * MEBIBYTE;

describe.each(['mysql-primary', 'mariadb'] as const)('I9: a row on %s that no sink could take', (name) => {
  let server: OwnServer;
  let source: TestSource;

  beforeAll(async () => {
    server = await OwnServer.start(name);
    source = await TestSource.open('large', server.url);
    await source.run(`SET GLOBAL max_allowed_packet = ${256 * MEBIBYTE}`);
    await source.admin.end();
    source = await TestSource.reopen(source);
    await source.run('CREATE TABLE t (id INT PRIMARY KEY, v LONGBLOB)', 'CREATE TABLE x_t LIKE t');
  }, 300_000);
  afterAll(async () => {
    await source.close();
    await server.end();
  });

  async function ids(from: string, excluded: readonly string[] = []): Promise<unknown[]> {
    const reader = new MySqlChangeSource({
      connection: source.connection,
      logger: silentLogger,
      columns: compileColumnSelection(excluded),
      maxRowBytes: MOST_BYTES,
    });
    const includes = (database: string, table: string): boolean =>
      source.includes(database, table) && !table.startsWith('x_');
    const items = await source.readItems(from, reader, includes);
    return items.flatMap((item) => (item.type === 'rows' ? (item.after ?? []).map(([id]) => id) : []));
  }

  test('stops the stream before it is read', async () => {
    const from = await source.executedSet();
    await source.run(`INSERT INTO t VALUES (1, REPEAT('w', ${WIDE}))`);
    const before = process.memoryUsage().arrayBuffers;
    await expect(ids(from)).rejects.toMatchObject({
      code: 'DITTO_SOURCE_ROW_TOO_LARGE',
      retriable: false,
      message: expect.stringContaining(`${source.database}.t`),
    });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(WIDE);
  });

  test('is passed over once its column, or its table, is excluded', async () => {
    const from = await source.executedSet();
    await source.run(
      `INSERT INTO t VALUES (2, REPEAT('w', ${WIDE}))`,
      `INSERT INTO x_t VALUES (3, REPEAT('w', ${WIDE}))`,
      "INSERT INTO t VALUES (4, 'narrow')",
    );
    expect(await ids(from, [`${source.database}.t.v`])).toEqual([2, 4]);
  });
});
