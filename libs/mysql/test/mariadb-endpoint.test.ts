import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  assertPosition,
  checkEndpoint,
  type EndpointInspection,
  type Grants,
  MySqlEndpoint,
  MySqlProbe,
  MySqlRowReader,
} from '#mysql';
import { type CanonicalValue, GtidSet, type TableLayout } from '#change-events';
import { type CheckFinding } from '#kernel';
import { OwnServer } from '#testing';
import { position, TestSource } from './test-source.ts';

const signal = new AbortController().signal;
const allGrants: Grants = { account: "'a'@'%'", hasGlobal: () => true, canSelect: () => true };
let server: OwnServer;
let source: TestSource;
let inspection: EndpointInspection;

beforeAll(async () => {
  server = await OwnServer.start('mariadb');
  source = await TestSource.open('endpoint', server.url);
  await source.run('CREATE TABLE good (id INT PRIMARY KEY, v VARCHAR(10))', "INSERT INTO good VALUES (1, 'a')");
  inspection = await new MySqlEndpoint(source.connection).inspect(signal);
}, 300_000);
afterAll(async () => {
  await source.close();
  await server.end();
});

function codes(problems: readonly CheckFinding[], severity: CheckFinding['severity']): string[] {
  return problems.filter((problem) => problem.severity === severity).map(({ code }) => code);
}

async function problemsOf(...statements: readonly string[]): Promise<readonly CheckFinding[]> {
  await source.run(...statements);
  const endpoint = new MySqlEndpoint(source.connection);
  const tables = await endpoint.inspectTables(source.includes, {}, signal);
  return checkEndpoint(inspection, tables, allGrants);
}

describe('inspection', () => {
  test('reads identity, position, role, clock and settings; all is well', async () => {
    expect(inspection).toMatchObject({ kind: 'mariadb', readOnly: false, replica: null, gtidPurged: '' });
    expect(inspection.serverUuid).toMatch(/^mariadb-4-.+$/);
    expect(inspection.serverUuid.length).toBeLessThanOrEqual(64);
    expect(inspection.gtidExecuted).toBe(await source.executedSet());
    expect(inspection.gtidState).toBe(inspection.gtidExecuted);
    expect(inspection.settings).toMatchObject({ logBin: 'ON', gtidStrictMode: 'ON', binlogRowMetadata: 'FULL' });
    expect(Math.abs(inspection.clockOffsetMs)).toBeLessThan(1000);
    expect(checkEndpoint(inspection, [], allGrants)).toEqual([]);
    const probe = new MySqlProbe({ connection: () => source.connection, timeoutMs: 5000 });
    expect(await probe.probe()).toMatchObject({ serverUuid: inspection.serverUuid, gtidPurged: '', replica: null });
    probe.close();
  });

  test('is the same server after a restart', async () => {
    await server.stack.restart('mariadb');
    source = await TestSource.reopen(source);
    const again = await new MySqlEndpoint(source.connection).inspect(signal);
    expect(again.serverUuid).toBe(inspection.serverUuid);
  }, 30_000);
});

describe('check', () => {
  test('names wrong settings in the words of MariaDB', () => {
    const settings = {
      ...inspection.settings,
      gtidStrictMode: 'OFF',
      binlogFormat: 'MIXED',
      binlogRowMetadata: 'NO_LOG',
    };
    const problems = checkEndpoint({ ...inspection, settings }, [], allGrants);
    expect(problems.map(({ code, remedy }) => [code, remedy.split(';')[0]])).toEqual([
      ['DITTO_SOURCE_GTID_MODE', 'SET GLOBAL gtid_strict_mode = ON'],
      ['DITTO_SOURCE_LOG_FORMAT', 'SET GLOBAL binlog_format = ROW'],
      ['DITTO_SOURCE_METADATA_MINIMAL', 'SET GLOBAL binlog_row_metadata = FULL'],
    ]);
  });

  test.each([
    ['u UUID', 'change the column'],
    ['i INET6', 'change the column'],
    ['i INET4', 'change the column'],
    ['c VARCHAR(10) COMPRESSED', 'change the column'],
    ['b BLOB COMPRESSED', 'change the column'],
  ])('refuses %s', async (column, remedy) => {
    const problems = await problemsOf(`CREATE TABLE odd (id INT PRIMARY KEY, ${column})`);
    await source.run('DROP TABLE odd');
    expect(codes(problems, 'error')).toEqual(['DITTO_SOURCE_COLUMN_UNSUPPORTED']);
    expect(problems[0]?.remedy).toContain(remedy);
  });

  test('refuses times of the old format, and says how to fix them', async () => {
    const problems = await problemsOf(
      'SET GLOBAL mysql56_temporal_format = OFF',
      'CREATE TABLE old (id INT PRIMARY KEY, t TIMESTAMP(3) NULL, d DATETIME)',
      'SET GLOBAL mysql56_temporal_format = ON',
    );
    expect(codes(problems, 'error')).toEqual(['DITTO_SOURCE_COLUMN_UNSUPPORTED', 'DITTO_SOURCE_COLUMN_UNSUPPORTED']);
    const mended = await problemsOf('ALTER TABLE old FORCE');
    await source.run('DROP TABLE old');
    expect(problems[0]?.remedy).toMatch(/SET GLOBAL mysql56_temporal_format = ON; ALTER TABLE `.*`\.`old` FORCE;/);
    expect(mended).toEqual([]);
  });

  test('refuses system versioning and cascades, and passes over sequences', async () => {
    const problems = await problemsOf(
      'CREATE TABLE versioned (id INT PRIMARY KEY) WITH SYSTEM VERSIONING',
      'CREATE TABLE child (id INT PRIMARY KEY, g INT, FOREIGN KEY (g) REFERENCES good (id) ON DELETE SET NULL)',
      'CREATE SEQUENCE sq',
    );
    await source.run('DROP TABLE versioned, child', 'DROP SEQUENCE sq');
    expect(problems.map(({ code }) => code).sort()).toEqual([
      'DITTO_SOURCE_CASCADES_UNLOGGED',
      'DITTO_SOURCE_COLUMN_UNSUPPORTED',
    ]);
  });

  test('a user needs REPLICATION SLAVE, BINLOG MONITOR and SELECT; with them all works', async () => {
    const nobody = new MySqlEndpoint(await source.createUser('', ''));
    const tables = await new MySqlEndpoint(source.connection).inspectTables(source.includes, {}, signal);
    const missing = checkEndpoint(await nobody.inspect(signal), tables, await nobody.readGrants(signal));
    expect(missing.map(({ message }) => message.replace(source.database, 'db'))).toEqual([
      'REPLICATION SLAVE is missing',
      'BINLOG MONITOR is missing',
      'SELECT is missing on db.good',
    ]);
    const connection = await source.createUser('REPLICATION SLAVE, REPLICATION CLIENT', 'SELECT');
    const reader = new MySqlEndpoint(connection);
    expect(checkEndpoint(await reader.inspect(signal), tables, await reader.readGrants(signal))).toEqual([]);
    const rows = new MySqlRowReader({ connection, includes: source.includes });
    const [layout] = await rows.listTables(signal, await source.executedSet());
    if (layout === undefined) throw new Error('no table');
    expect((await read(rows, layout, await source.executedSet())).rows).toEqual([[1, 'a']]);
    rows.close();
  });
});

describe('I7: a source continues from a position only when the server has it', () => {
  test('executed, never executed, of another server, purged', () => {
    const from = (gtidSet: string, log: Partial<EndpointInspection> = {}): (() => void) => {
      return () => assertPosition(position(gtidSet), { ...inspection, ...log });
    };
    const log = { gtidExecuted: '0-4-100,1-5-7', gtidState: '0-3-50,0-4-100,1-5-7', gtidPurged: '0-4-40' };
    const code = (text: string, missing: string): unknown =>
      expect.objectContaining({ code: text, context: expect.objectContaining({ missing }) });
    expect(from('0-4-100,1-5-7', log)).not.toThrow();
    expect(from('0-3-50', log)).not.toThrow();
    expect(from('0-4-101', log)).toThrow(code('DITTO_SOURCE_GTIDS_MISSING', '0-4-101'));
    expect(from('0-9-60,1-5-7', log)).toThrow(code('DITTO_SOURCE_GTIDS_MISSING', '0-9-60'));
    expect(from('0-3-60', log)).toThrow(code('DITTO_SOURCE_GTIDS_MISSING', '0-3-60'));
    expect(from('0-4-39', log)).toThrow(code('DITTO_SOURCE_PURGED', '0-4-40'));
    expect(from('1-5-7', log)).toThrow(code('DITTO_SOURCE_PURGED', '0-4-40'));
  });
});

function read(
  reader: MySqlRowReader,
  layout: TableLayout,
  dispatchedSet: string,
): ReturnType<MySqlRowReader['readChunk']> {
  return reader.readChunk({ layout, after: null, limit: 10_000, dispatchedSet, signal });
}

describe('reading rows', () => {
  test('waits for what was dispatched, within a limit', async () => {
    const reader = new MySqlRowReader({ connection: source.connection, includes: source.includes, waitMs: 200 });
    const [layout] = await reader.listTables(signal);
    if (layout === undefined) throw new Error('no table');
    await expect(read(reader, layout, '0-4-999999')).rejects.toMatchObject({
      code: 'DITTO_SOURCE_BEHIND',
      retriable: true,
    });
    // the log continues without a transaction
    await source.run('FLUSH BINARY LOGS');
    expect((await read(reader, layout, await source.executedSet())).rows).toEqual([[1, 'a']]);
    reader.close();
  });

  test('I3: does not treat as visible what is in the log and not yet committed', async () => {
    await source.run('CREATE TABLE late (id INT PRIMARY KEY)');
    const from = await source.executedSet();
    const reader = new MySqlRowReader({ connection: source.connection, includes: source.includes });
    const layout = (await reader.listTables(signal)).find(({ table }) => table === 'late');
    if (layout === undefined) throw new Error('no table');
    const stream = source.source().stream({ from: position(from), includes: source.includes, signal });
    const batches = stream[Symbol.asyncIterator]();
    const nextGtid = async (): Promise<string> => {
      for (;;) {
        const { value } = await batches.next();
        for (const item of value?.items ?? []) if (item.type === 'begin') return item.transaction.gtid ?? '';
      }
    };
    await source.run('INSERT INTO late VALUES (1)');
    await nextGtid();
    // between log and commit the server waits for the word of a replica that does not come
    await source.run(
      "SET GLOBAL rpl_semi_sync_master_wait_point = 'AFTER_SYNC', rpl_semi_sync_master_timeout = 1500, rpl_semi_sync_master_enabled = ON",
    );
    const writer = await TestSource.reopen(source);
    let isCommitted = false;
    const insert = writer.run('INSERT INTO late VALUES (2)').then(() => (isCommitted = true));
    const gtid = await nextGtid();
    expect(isCommitted).toBe(false);
    expect(await source.value('SELECT COUNT(*) FROM late')).toBe('1');
    expect((await read(reader, layout, gtid)).rows).toEqual([[1], [2]]);
    await batches.return(undefined);
    await insert;
    await source.run('SET GLOBAL rpl_semi_sync_master_enabled = OFF');
    await writer.admin.end();
    reader.close();
  });

  test('sees every row of the dispatched set the moment that the log shows it, while others write', async () => {
    await source.run('CREATE TABLE busy (id INT PRIMARY KEY AUTO_INCREMENT, n INT)');
    const from = await source.executedSet();
    const reader = new MySqlRowReader({ connection: source.connection, includes: source.includes });
    const layout = (await reader.listTables(signal)).find(({ table }) => table === 'busy');
    if (layout === undefined) throw new Error('no table');
    const writers = await Promise.all([1, 2, 3].map(() => TestSource.reopen(source)));
    let writing = true;
    const written = writers.map(async (writer) => {
      while (writing) await writer.run('INSERT INTO busy (n) VALUES (1)');
      await writer.admin.end();
    });
    let known = GtidSet.parse(from);
    const ids = new Set<CanonicalValue | undefined>();
    let checks = 0;
    for await (const { items } of source.source().stream({ from: position(from), includes: source.includes, signal })) {
      for (const item of items) {
        if (item.type === 'begin') known = known.union(GtidSet.parse(item.transaction.gtid ?? ''));
        if (item.type === 'rows') for (let i = 0; i < (item.after?.count ?? 0); i++) ids.add(item.after?.row(i)[0]);
      }
      const chunk = await read(reader, layout, known.toString());
      const seen = new Set(chunk.rows.map(([id]) => id));
      expect([...ids].filter((id) => !seen.has(id))).toEqual([]);
      expect(GtidSet.parse(chunk.high).contains(known)).toBe(true);
      checks++;
      if (checks >= 60) break;
    }
    writing = false;
    await Promise.all(written);
    reader.close();
  }, 60_000);
});
