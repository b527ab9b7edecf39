import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  type MySqlConnectionOptions,
  connectionOptionsFromUrl,
  MySqlCascadeFacts,
  MySqlEndpoint,
  MySqlRowReader,
} from '#mysql';
import { FaultProxy, testStack } from '#testing';
import { TestSource } from './test-source.ts';

const TABLES = 150;
const COLUMNS = Array.from({ length: 20 }, (_, i) => `column_with_a_long_name_${i} VARCHAR(50)`).join(', ');

describe.each(['mysql-primary', 'mariadb'] as const)('%s: a schema of many tables', (server) => {
  const signal = new AbortController().signal;
  let few: TestSource;
  let many: TestSource;
  let proxy: FaultProxy;

  beforeAll(async () => {
    const url = (await testStack()).url(server);
    const { host, port } = connectionOptionsFromUrl(url);
    [few, many] = [await TestSource.open('few', url), await TestSource.open('many', url)];
    proxy = await FaultProxy.open({ host, port });
    for (const [source, count] of [
      [few, 3],
      [many, TABLES],
    ] as const)
      for (let i = 0; i < count; i++)
        await source.run(
          `CREATE TABLE t${i} (id INT PRIMARY KEY, parent INT, ${COLUMNS}` +
            `${i === 0 || i > 2 ? '' : ', FOREIGN KEY (parent) REFERENCES t0 (id) ON DELETE CASCADE'})`,
        );
  }, 30_000);
  afterAll(async () => {
    proxy.close();
    await Promise.all([few.close(), many.close()]);
  }, 30_000);

  /** How much the server sends for it: what it reads of its catalogue comes in answers. */
  async function cost(
    source: TestSource,
    work: (connection: MySqlConnectionOptions, isFew: (database: string, table: string) => boolean) => Promise<unknown>,
  ): Promise<number> {
    const before = proxy.receivedBytes.toClient;
    const { host, port } = proxy;
    await work({ ...source.connection, host, port }, (database, table) =>
      database === source.database ? /^t[012]$/.test(table) : false,
    );
    return proxy.receivedBytes.toClient - before;
  }

  async function withReader(
    connection: MySqlConnectionOptions,
    includes: (database: string, table: string) => boolean,
    work: (reader: MySqlRowReader) => Promise<unknown>,
  ): Promise<void> {
    const reader = new MySqlRowReader({ connection, includes });
    try {
      await work(reader);
    } finally {
      reader.close();
    }
  }

  test('the layout of one table, and a chunk of it, cost what they cost among three', async () => {
    const read = (source: TestSource): Promise<number> =>
      cost(source, (connection) =>
        withReader(connection, source.includes, async (reader) => {
          const layout = await reader.readLayout({ database: source.database, table: 't1' }, signal);
          if (layout === null) throw new Error('no layout');
          await reader.readChunk({ layout, after: null, limit: 10, dispatchedSet: '', signal });
          await reader.estimateRows([layout], signal);
        }),
      );
    await read(few); // character tables are read once
    expect(await read(many)).toBeLessThan((await read(few)) + 500);
  });

  test('the foreign keys that one statement concerns cost what they cost among three tables', async () => {
    const settings = (await new MySqlEndpoint(many.connection).inspect(signal)).settings;
    const read = (source: TestSource): Promise<number> =>
      cost(source, (connection) => {
        const handling = { cascades: 'reread', hasMirror: true } as const;
        const facts = new MySqlCascadeFacts({ connection, settings, includes: source.includes, handling });
        return facts.read(signal, '', [{ database: source.database, table: 't1' }]);
      });
    expect(await read(many)).toBeLessThan((await read(few)) + 500);
  });

  test('a start reads no more of the tables that are not included than their names', async () => {
    const start = (source: TestSource): Promise<number> =>
      cost(source, async (connection, isFew) => {
        const tables = await new MySqlEndpoint(connection).inspectTables(isFew, {}, signal);
        expect(tables).toHaveLength(3);
        expect(tables.map(({ cascades }) => cascades.length)).toEqual([0, 1, 1]);
        await withReader(connection, isFew, async (reader) => {
          expect(await reader.listTables(signal)).toHaveLength(3);
        });
      });
    // the names of all tables of the server come, twice: other tests have theirs there too
    const nameBytes = 80 * Number(await many.value('SELECT COUNT(*) FROM information_schema.TABLES'));
    expect(await start(many)).toBeLessThan((await start(few)) + 2 * nameBytes);
    const columnBytes = TABLES * 22 * 60;
    expect(2 * nameBytes).toBeLessThan(columnBytes);
  });
});
