import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  checkEndpoint,
  type KeyOverrides,
  MySqlChangeSource,
  type MySqlConnectionOptions,
  MySqlEndpoint,
  MySqlRowReader,
} from '#mysql';
import { type Row, type TableLayout } from '#change-events';
import { silentLogger } from '#kernel';
import { OwnServer } from '#testing';
import { position, TestSource } from './test-source.ts';

const signal = new AbortController().signal;
const TABLES = 40;
const SORTED_ROWS = 30_000;

/** Limits and forms that an operator may have set for everybody, each of which cut, stopped or falsified a read. */
const GLOBALS = [
  'sql_select_limit = 25',
  'max_join_size = 10',
  'sql_big_selects = OFF',
  'sql_safe_updates = ON',
  "sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH'",
  "time_zone = '+05:30'",
  'completion_type = 2',
  'autocommit = OFF',
  'sql_quote_show_create = OFF',
  'group_concat_max_len = 4',
  'wait_timeout = 1',
];
const SERVERS = [
  {
    name: 'mysql-primary',
    globals: ['max_execution_time = 1', 'max_sort_length = 4', "transaction_isolation = 'SERIALIZABLE'"],
    recursion: 'cte_max_recursion_depth',
    privileges: 'REPLICATION SLAVE, REPLICATION CLIENT',
  },
  {
    name: 'mariadb',
    globals: ['max_statement_time = 0.01', 'max_sort_length = 64', "tx_isolation = 'SERIALIZABLE'"],
    recursion: 'max_recursive_iterations',
    privileges: 'REPLICATION SLAVE, BINLOG MONITOR',
  },
] as const;

describe.each(SERVERS)('a session of Ditto on $name', ({ name, globals, recursion, privileges }) => {
  let server: OwnServer;
  let source: TestSource;
  let connection: MySqlConnectionOptions;
  let from: string;

  beforeAll(async () => {
    server = await OwnServer.start(name);
    source = await TestSource.open('inherited', server.url);
    connection = await source.createUser(privileges, 'SELECT');
    from = await source.executedSet();
    await source.run(
      'CREATE TABLE words (k VARCHAR(20) COLLATE utf8mb4_bin PRIMARY KEY, at TIMESTAMP NULL, l VARCHAR(10) CHARACTER SET latin1)',
      "INSERT INTO words VALUES ('😀', '2026-01-02 03:04:05', '€'), ('😁', NULL, 'é'), ('漢', NULL, 'ÿ'), ('a\\\\b''c', NULL, '')",
      // no index has its order: each chunk sorts the whole table
      'CREATE TABLE sorted (k VARCHAR(200) NOT NULL, v INT)',
      `SET ${recursion} = 1000000`,
      `INSERT INTO sorted WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${SORTED_ROWS})
       SELECT CONCAT(REPEAT('same ', 20), LPAD(CRC32(i), 10, '0'), '-', i), i FROM n`,
      ...Array.from({ length: TABLES - 2 }, (_, i) => `CREATE TABLE t${i} (id INT PRIMARY KEY, a INT, b INT, c INT)`),
      ...[...GLOBALS, ...globals].map((setting) => `SET GLOBAL ${setting}`),
      "SET GLOBAL init_connect = 'SET NAMES latin1'",
    );
  }, 300_000);
  afterAll(async () => {
    await source.close();
    await server.end();
  });

  const keys = (): KeyOverrides => ({ [`${source.database}.sorted`]: ['k'] });

  async function readAll(reader: MySqlRowReader, layout: TableLayout, limit: number): Promise<Row[]> {
    const rows: Row[] = [];
    for (let after: Row | null = null; ;) {
      const read = await reader.readChunk({ layout, after, limit, dispatchedSet: from, signal });
      rows.push(...read.rows);
      if (read.complete || rows.length > 2 * SORTED_ROWS) return rows;
      after = read.lastKey;
    }
  }

  test('I4, I6: its reads are whole and exact whatever the server’s globals and init_connect say', async () => {
    const endpoint = new MySqlEndpoint(connection);
    const tables = await endpoint.inspectTables(source.includes, { keys: keys() }, signal);
    expect(checkEndpoint(await endpoint.inspect(signal), tables, await endpoint.readGrants(signal))).toEqual([]);
    expect(tables).toHaveLength(TABLES);

    const reader = new MySqlRowReader({ connection, includes: source.includes, keys: keys(), waitMs: 5000 });
    try {
      const layouts = await reader.listTables(signal, from);
      expect(layouts).toHaveLength(TABLES);
      const layoutOf = (table: string): TableLayout => {
        const found = layouts.find((layout) => layout.table === table);
        if (found === undefined) throw new Error(`no table ${table}`);
        return found;
      };
      expect(await readAll(reader, layoutOf('words'), 1)).toEqual([
        ["a\\b'c", null, ''],
        ['漢', null, 'ÿ'],
        ['😀', '2026-01-02T03:04:05Z', '€'],
        ['😁', null, 'é'],
      ]);
      const sorted = await readAll(reader, layoutOf('sorted'), 5000);
      expect(new Set(sorted.map(([, v]) => v)).size).toBe(SORTED_ROWS);
      expect(sorted).toHaveLength(SORTED_ROWS);
    } finally {
      reader.close();
    }
  }, 60_000);

  test('I4: the stream decodes text by the server’s own tables', async () => {
    const stop = new AbortController();
    const stream = new MySqlChangeSource({ connection, logger: silentLogger }).stream({
      from: position(from),
      includes: (database, table) => source.includes(database, table) && table === 'words',
      signal: stop.signal,
    });
    const rows: Row[] = [];
    for await (const batch of stream) {
      for (const item of batch.items)
        if (item.type === 'rows' && item.after !== null)
          for (let i = 0; i < item.after.count; i++) rows.push(item.after.row(i));
      if (rows.length >= 4) break;
    }
    stop.abort();
    expect(rows.map(([k, , l]) => [k, l])).toEqual([
      ['😀', '€'],
      ['😁', 'é'],
      ['漢', 'ÿ'],
      ["a\\b'c", ''],
    ]);
  });
});
