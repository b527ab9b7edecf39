import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  assertPosition,
  checkEndpoint,
  MySqlCascadeFacts,
  MySqlEndpoint,
  MySqlRowReader,
  type EndpointInspection,
  type Grants,
  type TableInspection,
} from '#mysql';
import { type TableName } from '#change-events';
import { type CheckFinding } from '#kernel';
import { type CascadingKey } from '#replication';
import { position, TestSource } from './test-source.ts';

const signal = new AbortController().signal;
let source: TestSource;
let inspection: EndpointInspection;

beforeAll(async () => {
  source = await TestSource.open('endpoint');
  await source.run(
    'CREATE TABLE good (id INT PRIMARY KEY, v VARCHAR(10))',
    'CREATE TABLE keyless (v INT)',
    'CREATE TABLE legacy (id INT PRIMARY KEY) ENGINE = MyISAM',
    'CREATE TABLE asian (id INT PRIMARY KEY, v VARCHAR(10) CHARACTER SET gbk)',
    'CREATE TABLE child (id INT PRIMARY KEY, good_id INT, CONSTRAINT to_good FOREIGN KEY (good_id) REFERENCES good (id) ON DELETE CASCADE)',
  );
  inspection = await new MySqlEndpoint(source.connection).inspect(signal);
});
afterAll(async () => {
  await source.close();
});

const allGrants: Grants = { account: "'a'@'%'", hasGlobal: () => true, canSelect: () => true };

function codes(problems: readonly CheckFinding[], severity: CheckFinding['severity']): string[] {
  return problems.filter((problem) => problem.severity === severity).map(({ code }) => code);
}

describe('inspection', () => {
  test('reads identity, position, role, clock and settings', async () => {
    expect(inspection.serverUuid).toBe(await source.value('SELECT @@server_uuid'));
    expect(inspection.version).toBe(await source.value('SELECT VERSION()'));
    expect(inspection.gtidMode).toBe('ON');
    expect(inspection.gtidExecuted).toContain(inspection.serverUuid);
    expect(inspection.readOnly).toBe(false);
    expect(inspection.replica).toBeNull();
    expect(Math.abs(inspection.clockOffsetMs)).toBeLessThan(1000);
    expect(inspection.roundTripMs).toBeGreaterThan(0);
    expect(inspection.settings).toMatchObject({
      logBin: 'ON',
      binlogFormat: 'ROW',
      binlogRowImage: 'FULL',
      binlogRowMetadata: 'FULL',
    });
  });

  test('says whether the user may see that the server replicates', async () => {
    const blind = await source.createUser('REPLICATION SLAVE', 'SELECT');
    const seen = await new MySqlEndpoint(blind).inspect(signal);
    expect([inspection.showsReplication, seen.showsReplication, seen.replica]).toEqual([true, false, null]);
  });

  test('a server as it should be has no problems', () => {
    expect(checkEndpoint(inspection, [], allGrants)).toEqual([]);
  });
});

describe('check', () => {
  test('names every wrong setting at once, each with the statement that fixes it', () => {
    const wrong: EndpointInspection = {
      ...inspection,
      gtidMode: 'OFF_PERMISSIVE',
      settings: {
        ...inspection.settings,
        binlogFormat: 'MIXED',
        binlogRowImage: 'MINIMAL',
        binlogRowMetadata: 'MINIMAL',
        binlogExpireLogsSeconds: 600,
        binlogDoDb: 'shop',
      },
    };
    const problems = checkEndpoint(wrong, [], allGrants);
    expect(codes(problems, 'error')).toEqual([
      'DITTO_SOURCE_GTID_MODE',
      'DITTO_SOURCE_LOG_FORMAT',
      'DITTO_SOURCE_ROW_IMAGE',
      'DITTO_SOURCE_METADATA_MINIMAL',
    ]);
    expect(codes(problems, 'warning')).toEqual(['DITTO_SOURCE_LOG_EXPIRES', 'DITTO_SOURCE_LOG_FILTERED']);
    for (const { remedy } of problems) expect(remedy).toMatch(/SET PERSIST|Remove/);
  });

  test('names tables that can not be followed, or not wholly', async () => {
    const tables = await new MySqlEndpoint(source.connection).inspectTables(source.includes, {}, signal);
    const cascading = { ...inspection, settings: { ...inspection.settings, innodbNativeForeignKeys: 'ON' } };
    const problems = checkEndpoint(cascading, tables, allGrants);
    const short = problems.map(({ code, message }) => `${code} ${/\.(\w+)/.exec(message)?.[1] ?? ''}`);
    expect(short.sort()).toEqual([
      'DITTO_SOURCE_CASCADES_UNLOGGED child',
      'DITTO_SOURCE_NOT_TRANSACTIONAL legacy',
      'DITTO_SOURCE_NO_KEY keyless',
    ]);
    const logged = { ...inspection, settings: { ...inspection.settings, innodbNativeForeignKeys: 'OFF' } };
    expect(codes(checkEndpoint(logged, tables, allGrants), 'error')).toEqual([]);
    const foreign = tables.map((table) => ({ ...table, unsupported: table.table === 'good' ? ['v (inet6)'] : [] }));
    expect(codes(checkEndpoint(logged, foreign, allGrants), 'error')).toEqual(['DITTO_SOURCE_COLUMN_UNSUPPORTED']);
  });

  test('the inspected tables have the layouts that rows are read by', async () => {
    const server = new MySqlEndpoint(source.connection);
    const inspected = await server.inspectTables(source.includes, {}, signal);
    const reader = new MySqlRowReader({ connection: source.connection, includes: source.includes });
    try {
      expect(inspected.map(({ layout }) => layout)).toEqual(await reader.listTables(signal));
    } finally {
      reader.close();
    }
  });

  test('cascades that are to be read again: names what can not be, and its way out', async () => {
    const settings = { ...inspection.settings, innodbNativeForeignKeys: 'ON' };
    const select = async (...names: readonly string[]): Promise<readonly TableInspection[]> => {
      const includes = (database: string, table: string): boolean =>
        source.includes(database, table) && names.includes(table);
      return new MySqlEndpoint(source.connection).inspectTables(includes, {}, signal);
    };
    const problemsOf = async (hasMirror: boolean, ...names: readonly string[]): Promise<string[]> => {
      const tables = await select(...names);
      const handling = { cascades: 'reread', hasMirror } as const;
      const errors = checkEndpoint({ ...inspection, settings }, tables, allGrants, handling).filter(
        ({ severity }) => severity === 'error',
      );
      expect(errors.map(({ code }) => code)).toEqual(errors.map(() => 'DITTO_SOURCE_CASCADES_UNLOGGED'));
      return errors.map(({ message, remedy }) => `${message} | ${remedy}`.replaceAll(`${source.database}.`, ''));
    };
    await source.run(
      'CREATE TABLE far (a INT, b INT, PRIMARY KEY (a, b))',
      'CREATE TABLE nulled (id INT PRIMARY KEY, a INT, b INT, CONSTRAINT to_far FOREIGN KEY (a, b) REFERENCES far (a, b) ON DELETE SET NULL ON UPDATE CASCADE)',
      'CREATE TABLE moved (a INT, b INT, PRIMARY KEY (b, a), CONSTRAINT with_far FOREIGN KEY (a, b) REFERENCES far (a, b) ON UPDATE CASCADE)',
      'CREATE TABLE nokey (good_id INT, CONSTRAINT from_nokey FOREIGN KEY (good_id) REFERENCES good (id) ON DELETE CASCADE)',
    );
    expect(await problemsOf(true, 'good', 'child', 'far', 'nulled', 'moved')).toEqual([]);
    expect(await problemsOf(true, 'child', 'nulled')).toEqual([
      expect.stringMatching(/child by to_good of good, nulled by to_far of far \| Include good, far; or /),
    ]);
    expect(await problemsOf(true, 'good', 'nokey')).toEqual([expect.stringContaining('ADD PRIMARY KEY')]);
    expect(await problemsOf(false, 'far', 'nulled')).toEqual([]);
    expect(await problemsOf(false, 'good', 'child', 'far', 'moved')).toEqual([
      expect.stringMatching(/child.*to_good.*Add mongo/),
      expect.stringMatching(/moved.*with_far.*Add mongo/),
    ]);
    const [nulled] = await select('nulled');
    expect(nulled?.cascades).toEqual([
      {
        name: 'to_far',
        database: source.database,
        table: 'nulled',
        columns: ['a', 'b'],
        parent: { database: source.database, table: 'far' },
        parentColumns: ['a', 'b'],
        onDelete: 'set-null',
        onUpdate: 'cascade',
        isParentIncluded: false,
        takesKeys: false,
      },
    ]);
    const inDatabase = (...names: readonly string[]): TableName[] =>
      names.map((table) => ({ database: source.database, table }));
    const facts = (hasMirror: boolean): Promise<readonly CascadingKey[]> =>
      new MySqlCascadeFacts({
        connection: source.connection,
        settings,
        includes: source.includes,
        keys: { [`${source.database}.nokey`]: ['good_id'] },
        handling: { cascades: 'reread', hasMirror },
      }).read(signal, inspection.gtidExecuted, inDatabase('nokey', 'moved', 'nulled', 'child', 'absent'));
    expect((await facts(true)).map(({ name }) => name).sort()).toEqual(['from_nokey', 'to_far', 'to_good', 'with_far']);
    await expect(facts(false)).rejects.toMatchObject({ code: 'DITTO_SOURCE_CASCADES_UNLOGGED', retriable: false });
    await source.run('DROP TABLE nokey, moved, nulled, far');
  });

  test('names missing grants, and each named statement fixes its problem', async () => {
    const user = await source.createUser('', 'INSERT');
    const endpoint = new MySqlEndpoint(user);
    const tables = await new MySqlEndpoint(source.connection).inspectTables(source.includes, {}, signal);
    const problems = checkEndpoint(inspection, tables, await endpoint.readGrants(signal)).filter(
      ({ code }) => code === 'DITTO_SOURCE_GRANT_MISSING',
    );
    expect(problems.map(({ message }) => message)).toEqual([
      'REPLICATION SLAVE is missing',
      'REPLICATION CLIENT is missing',
      expect.stringMatching(/^SELECT is missing on .*asian.*keyless/),
    ]);
    for (const { remedy } of problems)
      await source.run(...remedy.split(';').filter((statement) => statement.trim() !== ''));
    const mended = checkEndpoint(inspection, tables, await endpoint.readGrants(signal));
    expect(mended.map(({ code }) => code)).not.toContain('DITTO_SOURCE_GRANT_MISSING');
  });
});

describe('I7: a position is only accepted where a source can continue from it', () => {
  test('accepts what the server executed', () => {
    expect(() => {
      assertPosition(position(inspection.gtidExecuted), { ...inspection, gtidPurged: '' });
    }).not.toThrow();
  });

  test('names what the server never executed', () => {
    const foreign = '11111111-2222-3333-4444-555555555555:1-5';
    expect(() => {
      assertPosition(position(foreign), { ...inspection, gtidPurged: '' });
    }).toThrow(
      expect.objectContaining({
        code: 'DITTO_SOURCE_GTIDS_MISSING',
        context: expect.objectContaining({ missing: foreign }),
      }),
    );
  });

  test('names what is needed and purged', () => {
    const uuid = inspection.serverUuid;
    expect(() => {
      assertPosition(position(`${uuid}:1-5`), {
        ...inspection,
        gtidExecuted: `${uuid}:1-20`,
        gtidPurged: `${uuid}:1-9`,
      });
    }).toThrow(
      expect.objectContaining({
        code: 'DITTO_SOURCE_PURGED',
        context: expect.objectContaining({ missing: `${uuid}:6-9` }),
      }),
    );
  });
});
