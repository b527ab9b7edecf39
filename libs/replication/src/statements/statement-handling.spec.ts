import { beforeEach, describe, expect, it } from '@jest/globals';
import {
  CollectionNames,
  DEFAULT_SQL_MODE,
  type SchemaChange,
  type TableChange,
  type TableLayout,
  TopicNames,
  type TransactionInfo,
} from '#change-events';
import { Deferred, DittoError } from '#kernel';
import { KnownTables } from '../tables/known-tables.ts';
import { type DefiningStatement } from '../ports/table-checks.ts';
import { type ChangeSink } from '../ports/change-sink.ts';
import { type StatementItem } from '../ports/change-source.ts';
import { StopAtRefusal } from '../ports/refused-changes.ts';
import { TableEndings } from '../tables/table-endings.ts';
import { type TableRecord } from '../ports/stores.ts';
import { TableKeys } from '../tables/table-keys.ts';
import { adopt, isCopied, newRecord } from '../tables/table-record.ts';
import { TableRecords } from '../tables/table-records.ts';
import { StatementHandling, type StatementHandlingOptions } from './statement-handling.ts';
import { Window } from '../windows/window.ts';
import { WindowRegistry } from '../windows/window-registry.ts';
import { layout as model } from '../../test/windowed-read-model.ts';

const TRANSACTION = { gtid: 'u:1', versionPrefix: '' } as unknown as TransactionInfo;
const down = new DittoError('DITTO_TEST_DOWN', 'down', { retriable: true });
const textColumn = {
  ...(model.columns[0] as TableLayout['columns'][0]),
  name: 'Name',
  kind: 'text',
  charset: 'latin1',
};

/** `d.t` with key `id`, `d.named` with key `Name`, `d.keyless`; everything but `d.excluded` is included. */
const catalogue: readonly TableLayout[] = [
  model,
  { ...model, table: 'named', columns: [textColumn as TableLayout['columns'][0]], key: [0] },
  { ...model, table: 'keyless', key: [] },
];

let steps: string[];
let published: SchemaChange[];
let tables: KnownTables;
let keys: TableKeys;
let windows: WindowRegistry;
let failures: number;
let handling: StatementHandling;
let options: StatementHandlingOptions;
let forgotten: string[];
let records: TableRecords;
let stored: Map<string, TableRecord>;
/** What saves of `records` wait for. */
let gate: Promise<unknown>;

const drain = (): Promise<void> => {
  steps.push('drain');
  return Promise.resolve();
};

const hold = async (action: () => Promise<void>): Promise<void> => {
  for (;;)
    try {
      await action();
      return;
    } catch (error) {
      if (error !== down) throw error;
    }
};

beforeEach(() => {
  steps = [];
  published = [];
  failures = 0;
  tables = new KnownTables(catalogue);
  windows = new WindowRegistry();
  forgotten = [];
  const adopted = { key: 'k', since: '', layout: null };
  const known = ['t', 'named', '*'].map((table) => adopt(newRecord({ database: 'd', table }), adopted));
  const save = (_: unknown, records: readonly TableRecord[]): Promise<void> => {
    for (const record of records) {
      if (record.adopted !== null) throw new Error('a statement gives no key');
      forgotten.push(record.table);
    }
    return Promise.resolve();
  };
  const grant = { source: 's', owner: 'o', token: 1 };
  stored = new Map();
  gate = Promise.resolve();
  records = new TableRecords({
    grant,
    store: {
      save: async (_, saved) => {
        await gate;
        if (failures-- > 0) throw down;
        for (const record of saved) stored.set(record.table, record);
      },
    },
    known: [],
  });
  keys = new TableKeys(new TableRecords({ grant, store: { save }, known }), () => '');
  const sink = {
    applyTableChange: ({ op, layout }: TableChange) => {
      steps.push(`${op} ${layout.table}`);
      return Promise.resolve();
    },
    publishStatement: (change: SchemaChange) => {
      if (steps.some((step) => !step.startsWith('check'))) throw new Error('a statement comes before its effects');
      published.push(change);
      return Promise.resolve();
    },
  } as unknown as ChangeSink;
  options = {
    includes: (database, table) => database === 'd' && table !== 'excluded',
    reaches: (database) => database === 'd',
    sinks: [sink],
    tables,
    records,
    windows,
    endings: new TableEndings({ sinks: [sink], refusedChanges: new StopAtRefusal(), tables, keys, drain, hold }),
    hold,
    cascades: null,
    check: () => Promise.resolve(),
    canLookUpRows: true,
    listTables: () => Promise.resolve([...catalogue, { database: 'd', table: 'new' }]),
    onTableUnread: ({ database, table }, losesRows) => {
      steps.push(`${losesRows ? 'look up' : 'read'} ${database}.${table}`);
      return failures-- > 0 ? Promise.reject(down) : Promise.resolve();
    },
    onKeyDoubted: ({ database, table }) => {
      steps.push(`doubt ${database}.${table}`);
    },
  };
  handling = new StatementHandling(options);
});

function openWindow(table: string): Window {
  const window = new Window({
    id: table,
    layout: { ...model, table },
    readSequence: 1,
    dispatchedSet: '',
    maxNotedBytes: 1000,
  });
  windows.add(window);
  return window;
}

function statementOf(database: string, sql: string): StatementItem {
  return { type: 'statement', database, sql, sqlMode: DEFAULT_SQL_MODE };
}

async function stepsOf(sql: string): Promise<string[]> {
  steps = [];
  await handling.apply(statementOf('d', sql), TRANSACTION);
  return steps;
}

describe('a table that is created while the source is read', () => {
  const copiedOf = (table: string): string => isCopied(stored.get(table) ?? newRecord({ database: 'd', table }));

  it.each([
    ['CREATE TABLE n (id INT PRIMARY KEY)'],
    ['CREATE TABLE IF NOT EXISTS n (id INT PRIMARY KEY)'],
    ['CREATE TABLE n LIKE excluded'],
    ['CREATE OR REPLACE TABLE n (id INT PRIMARY KEY)'],
  ])('I4: is copied from then on, since the log has all of its rows: %s', async (sql) => {
    failures = 2;
    await stepsOf(sql);
    expect([copiedOf('n'), stored.get('n')?.generation]).toEqual(['yes', 1]);
    // the statement comes again after a crash
    await stepsOf(sql);
    expect(stored.get('n')?.generation).toBe(1);
  });

  it.each([
    ['CREATE TABLE n AS SELECT * FROM excluded'],
    ['RENAME TABLE excluded TO n'],
    ['CREATE TABLE excluded (id INT)'],
    ['ALTER TABLE n ADD a INT'],
    ['CREATE TABLE other.n (id INT)'],
  ])('is not copied by this where rows may have come in another way: %s', async (sql) => {
    await stepsOf(sql);
    expect([...stored]).toEqual([]);
  });

  it('I4: is not taken for new where the statement changes nothing, since it was there before', async () => {
    await stepsOf('CREATE TABLE IF NOT EXISTS t (id INT PRIMARY KEY)');
    await stepsOf('RENAME TABLE excluded TO n');
    await stepsOf('CREATE TABLE IF NOT EXISTS n (id INT PRIMARY KEY)');
    expect([copiedOf('t'), copiedOf('n')]).toEqual(['never', 'never']);
    await stepsOf('DROP TABLE t');
    await stepsOf('CREATE TABLE IF NOT EXISTS t (id INT PRIMARY KEY)');
    expect(copiedOf('t')).toBe('yes');
  });

  it('I1: no checkpoint passes the statement before that is recorded', async () => {
    const open = new Deferred<undefined>();
    gate = open.promise;
    let isApplied = false;
    const applied = handling
      .apply(statementOf('d', 'CREATE TABLE n (id INT PRIMARY KEY)'), TRANSACTION)
      .then(() => (isApplied = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect([isApplied, stored.size]).toEqual([false, 0]);
    open.resolve(undefined);
    await applied;
    expect(copiedOf('n')).toBe('yes');
  });
});

describe('tables that come, or change, while the source is read', () => {
  it.each([
    ['CREATE TABLE n (id INT)', ['check n']],
    ['CREATE TABLE n LIKE excluded', ['check n']],
    ['ALTER TABLE t ADD SYSTEM VERSIONING', ['check t', 'drain', 'truncate t', 'read d.t']],
    ['ALTER TABLE t MODIFY value UUID', ['check t', 'read d.t']],
    ['RENAME TABLE excluded TO n', ['check n', 'read d.n']],
    ['CREATE INDEX i ON t (value)', ['check t', 'doubt d.t']],
    ['ALTER TABLE t 😀', ['check t', 'drain', 'truncate t', 'read d.t']],
    ['DROP TABLE t', ['drain', 'drop t']],
    ['CREATE TABLE excluded (id INT)', []],
    ['CREATE VIEW v AS SELECT 1', []],
  ])('I6: are checked as at the start, before anything else is done for them: %s', async (sql, expected) => {
    const check = ({ tables: defined }: DefiningStatement): Promise<void> => {
      steps.push(`check ${defined.map(({ table }) => table).join()}`);
      return Promise.resolve();
    };
    handling = new StatementHandling({ ...options, check });
    expect(await stepsOf(sql)).toEqual(expected);
  });

  it('I6: a statement that brings what can not be replicated stops the stream', async () => {
    const refused = new DittoError('DITTO_SOURCE_COLUMN_UNSUPPORTED', 'd.t.u (uuid) can not be decoded exactly');
    handling = new StatementHandling({ ...options, check: () => Promise.reject(refused) });
    await expect(stepsOf('ALTER TABLE t ADD SYSTEM VERSIONING')).rejects.toBe(refused);
    expect([steps, published]).toEqual([[], []]);
  });

  const collides = expect.objectContaining({ code: 'DITTO_TOPIC_NAMES_INVALID' });
  const collidesInMirror = expect.objectContaining({ code: 'DITTO_MIRROR_NAME_INVALID' });

  it.each([
    ['CREATE TABLE `a_x0020b` (id INT)', TopicNames, collides],
    ['CREATE TABLE `a.b` (id INT); ', CollectionNames, collidesInMirror],
    ['CREATE TABLE `a_x0020b` LIKE t', TopicNames, collides],
    ['RENAME TABLE t TO `a_x0020b`', TopicNames, collides],
  ])('I2, I6: stop with the code of the start when another has their name in a sink: %s', async (sql, Names, error) => {
    const names = Names === TopicNames ? new TopicNames('p') : new CollectionNames();
    names.claimAll(catalogue);
    handling = new StatementHandling({ ...options, tables: new KnownTables(catalogue, [names]) });
    await stepsOf(Names === TopicNames ? 'CREATE TABLE `a b` (id INT)' : 'CREATE TABLE `a_x002Eb` (id INT)');
    await expect(stepsOf(sql)).rejects.toEqual(error);
  });

  it('get the name of one that is gone', async () => {
    const names = new TopicNames('p');
    names.claimAll(catalogue);
    const known = new KnownTables(catalogue, [names]);
    const endings = new TableEndings({
      ...{ sinks: options.sinks, refusedChanges: new StopAtRefusal(), tables: known, keys, drain, hold },
    });
    handling = new StatementHandling({ ...options, tables: known, endings });
    await stepsOf('CREATE TABLE `a b` (id INT)');
    await stepsOf('RENAME TABLE `a b` TO `a_x0020b`');
    await stepsOf('DROP TABLE `a_x0020b`');
    await stepsOf('CREATE TABLE `a b` (id INT)');
    await stepsOf('DROP DATABASE d');
    expect(await stepsOf('CREATE TABLE `a_x0020b` (id INT)')).toEqual([]);
  });

  it('are compared with the others also when only a row shows them', () => {
    const known = new KnownTables(catalogue, [new TopicNames('p')]);
    known.learn({ ...model, table: 'a b' });
    known.learn({ ...model, table: 'a b', fingerprint: 'other' });
    expect(() => known.learn({ ...model, table: 'a_x0020b' })).toThrow(collides);
  });
});

describe('StatementHandling', () => {
  it.each([
    ['ALTER TABLE t ADD COLUMN a INT', ['read d.t']],
    ['ALTER TABLE t MODIFY value BIGINT', ['read d.t']],
    ['ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4', ['read d.t']],
    ['ALTER TABLE keyless ADD COLUMN a INT', ['read d.keyless']],
    ['ALTER TABLE unknown ADD COLUMN a INT', ['read d.unknown']],
  ])('reads again what keeps its keys, without ending anything: %s', async (sql, expected) => {
    expect(await stepsOf(sql)).toEqual(expected);
  });

  it.each([
    ['ALTER TABLE t DROP PARTITION p', ['drain', 'truncate t', 'read d.t']],
    ['ALTER TABLE t MODIFY ID BIGINT', ['drain', 'truncate t', 'read d.t']],
    ['ALTER TABLE t CHANGE `id` other INT', ['drain', 'truncate t', 'read d.t']],
    ['ALTER TABLE t FROBNICATE', ['drain', 'truncate t', 'read d.t']],
    ['TRUNCATE t DROP STORAGE', ['drain', 'truncate t']],
    ['ALTER TABLE t ADD PRIMARY KEY (value)', ['drain', 'truncate t', 'read d.t']],
    ['ALTER TABLE named CONVERT TO CHARACTER SET utf8mb4', ['drain', 'truncate named', 'read d.named']],
    ['ALTER TABLE unknown DROP COLUMN a', ['drain', 'truncate unknown', 'read d.unknown']],
    ['ALTER TABLE keyless TRUNCATE PARTITION p', ['read d.keyless']],
    [
      'ALTER TABLE t EXCHANGE PARTITION p WITH TABLE named',
      ['drain', 'truncate t', 'truncate named', 'read d.t', 'read d.named'],
    ],
    ['ALTER TABLE t EXCHANGE PARTITION p WITH TABLE excluded', ['drain', 'truncate t', 'read d.t']],
    ['ALTER TABLE excluded EXCHANGE PARTITION p WITH TABLE t', ['drain', 'truncate t', 'read d.t']],
  ])('I4: ends rows that may have vanished or changed keys before it reads again: %s', async (sql, expected) => {
    expect(await stepsOf(sql)).toEqual(expected);
  });

  it.each([
    ['ALTER TABLE excluded DROP PRIMARY KEY'],
    ['ALTER TABLE excluded ADD UNIQUE (id)'],
    ['ALTER DATABASE d CHARACTER SET utf8mb4'],
    ['RENAME TABLE excluded TO other.t'],
    ['CREATE TABLE n (id INT PRIMARY KEY)'],
    ['ALTER TABLE other.t DROP COLUMN id'],
    ["XA START 'a'"],
  ])('leaves alone what changes no row of an included table: %s', async (sql) => {
    expect(await stepsOf(sql)).toEqual([]);
  });

  it.each([
    ['ALTER TABLE t ADD COLUMN secret INT', ['doubt d.t']],
    ['ALTER TABLE t ADD secret INT NOT NULL DEFAULT 1, DROP COLUMN Secret_two', ['doubt d.t']],
    ['ALTER TABLE t RENAME COLUMN secret TO secret_two', ['doubt d.t']],
    ['ALTER TABLE t RENAME COLUMN secret TO open', ['read d.t']],
    ['ALTER TABLE t ADD secret INT, ADD open INT', ['read d.t']],
    ['ALTER TABLE t MODIFY secret BIGINT', ['read d.t']],
    ['ALTER TABLE t ADD secret INT PRIMARY KEY', ['drain', 'truncate t', 'read d.t']],
    ['ALTER TABLE named DROP COLUMN secret', ['read d.named']],
    ['ALTER TABLE keyless DROP COLUMN secret', ['read d.keyless']],
    ['ALTER TABLE unknown DROP COLUMN secret', ['drain', 'truncate unknown', 'read d.unknown']],
  ])('I4: reads nothing for the sake of excluded columns, and everything else: %s', async (sql, expected) => {
    const columns = (_: string, table: string, column: string): boolean =>
      table === 'named' || !column.toLowerCase().startsWith('secret');
    handling = new StatementHandling({ ...options, columns });
    const window = openWindow('t');
    expect(await stepsOf(sql)).toEqual(expected);
    expect(window.discardedBecause === null).toBe(expected[0] === 'doubt d.t' || !sql.includes('TABLE t '));
  });

  it.each([
    ['ALTER TABLE t DROP INDEX i'],
    ['ALTER TABLE t ADD INDEX (id)'],
    ['ALTER TABLE t ADD UNIQUE KEY u (value), DROP INDEX v'],
    ['ALTER TABLE t ADD CONSTRAINT u UNIQUE (value)'],
    ['ALTER TABLE t DROP CONSTRAINT u'],
    ['ALTER TABLE t DROP PRIMARY KEY'],
    ['ALTER TABLE t RENAME INDEX a TO b'],
    ['DROP INDEX `PRIMARY` ON t'],
    ['DROP INDEX i ON t'],
    ['CREATE UNIQUE INDEX i ON t (value)'],
    ['ALTER TABLE t COMMENT "anything"'],
  ])('I4: has the key looked at after a statement that changes no value: %s', async (sql) => {
    expect(await stepsOf(sql)).toEqual(['doubt d.t']);
  });

  it.each([
    ['FROBNICATE everything'],
    ['DROP TABLE [t]'],
    ['DROP TABLE t AND WHATEVER'],
    ['TRUNCATE t /* not ended'],
    ['TRUNCATE t /*!99999 what \\ is this */'],
    ["ALTER TABLE t COMMENT 'not ended"],
    ['RENAME TABLE t TO new IN SPACE'],
  ])('I4: rows that a statement took away that can not be read are looked for: %s', async (sql) => {
    await stepsOf('CREATE TABLE made (id INT PRIMARY KEY)');
    const one = openWindow('somewhere');
    const all = ['t', 'named', 'keyless', 'made', 'new'];
    expect((await stepsOf(sql)).sort()).toEqual(all.map((table) => `look up d.${table}`).sort());
    expect(one.discardedBecause).not.toBeNull();
    await handling.apply(statementOf('other', sql), TRANSACTION);
  });

  it('I4: without a mirror nothing shows which rows there were: all end and are read again', async () => {
    handling = new StatementHandling({ ...options, canLookUpRows: false });
    const ended = ['truncate t', 'truncate named', 'truncate new'];
    const read = ['read d.t', 'read d.named', 'read d.keyless', 'read d.new'];
    expect(await stepsOf('FROBNICATE everything')).toEqual(['drain', ...ended, ...read]);
  });

  it.each([
    ['TRUNCATE `*`', ['drain', 'truncate *']],
    ['DROP TABLE `*`', ['drain', 'drop *']],
    ['ALTER TABLE `*` DROP PARTITION p', ['drain', 'truncate *', 'read d.*']],
    ['ALTER TABLE `*` DROP INDEX i', ['doubt d.*']],
    ['RENAME TABLE `*` TO `?`', ['drain', 'drop *', 'read d.?']],
  ])('I4: a table named * is one table, included or not: %s', async (sql, expected) => {
    const window = openWindow('t');
    expect(await stepsOf(sql)).toEqual(expected);
    handling = new StatementHandling({ ...options, includes: (_, table) => table === 't' || table === 'named' });
    published = [];
    expect(await stepsOf(sql)).toEqual([]);
    expect(published).toEqual([]);
    expect(window.discardedBecause).toBeNull();
  });

  it('I6: forgets the key of what is dropped or has another name: a table that comes under its name is another', async () => {
    await stepsOf('TRUNCATE t');
    expect(forgotten).toEqual([]);
    await stepsOf('RENAME TABLE t TO u');
    await stepsOf('DROP TABLE named');
    expect(forgotten).toEqual(['t', 'named']);
  });

  it('swaps: ends both, reads both, and nothing under a name that was only in between', async () => {
    expect(await stepsOf('RENAME TABLE t TO tmp, named TO t, tmp TO named')).toEqual([
      'drain',
      'drop t',
      'drop named',
      'read d.t',
      'read d.named',
    ]);
    expect(await stepsOf('RENAME TABLE t TO excluded, excluded TO t')).toEqual(['drain', 'drop t', 'read d.t']);
  });

  it('ends every table of a dropped database, also one that came since', async () => {
    await stepsOf('CREATE TABLE made (id INT PRIMARY KEY)');
    expect(await stepsOf('DROP DATABASE d')).toEqual(['drain', 'drop t', 'drop named', 'drop keyless', 'drop made']);
    expect(await stepsOf('DROP DATABASE d')).toEqual([]);
  });

  it('I4: no row that was read before the statement is emitted after it, in any table that it reaches', async () => {
    const [t, named, other] = [openWindow('t'), openWindow('named'), openWindow('other')];
    await stepsOf('ALTER TABLE t ADD INDEX (id)');
    expect(t.discardedBecause).toBeNull();
    await stepsOf('ALTER TABLE t EXCHANGE PARTITION p WITH TABLE named');
    expect([t, named, other].map(({ discardedBecause }) => discardedBecause !== null)).toEqual([true, true, false]);
  });

  it('I1: continues only when what must be read is recorded', async () => {
    failures = 3;
    expect(await stepsOf('ALTER TABLE t ADD COLUMN a INT')).toEqual(Array<string>(4).fill('read d.t'));
  });

  it('I6: reads quotes as the session of the statement meant them', async () => {
    const item = statementOf('d', String.raw`ALTER TABLE t COMMENT 'a\', DROP COLUMN b, COMMENT "\'' -- "`);
    steps = [];
    await handling.apply({ ...item, sqlMode: { hasAnsiQuotes: false, hasEscapes: false } }, TRANSACTION);
    expect(steps).toEqual(['read d.t']);
  });

  it('I6: refuses a change of rows that is in the log as a statement', async () => {
    await expect(stepsOf('DELETE FROM t')).rejects.toMatchObject({ code: 'DITTO_SOURCE_STATEMENT_FORMAT' });
    await handling.apply(statementOf('other', 'DELETE FROM t'), TRANSACTION);
  });

  it.each([
    ['CREATE TABLE n (id INT)', 'd', ['CREATE d.n']],
    ['ALTER TABLE t ADD COLUMN a INT', 'd', ['ALTER d.t']],
    ['ALTER TABLE t COMMENT "x"', 'd', ['ALTER d.t']],
    ['CREATE INDEX i ON t (value)', 'd', ['ALTER d.t']],
    ['TRUNCATE t', 'd', []],
    ['DROP TABLE t, excluded, named', 'd', ['DROP d.t', 'DROP d.named']],
    ['RENAME TABLE t TO excluded', 'd', ['ALTER d.excluded < d.t']],
    ['RENAME TABLE excluded TO n', 'd', ['ALTER d.n < d.excluded']],
    ['CREATE DATABASE d', 'd', []],
    ['DROP DATABASE d', 'd', ['DROP d.t', 'DROP d.named', 'DROP d.keyless']],
    ['FROBNICATE t', 'd', []],
    ['ALTER TABLE t EXCHANGE PARTITION p WITH TABLE excluded', 'd', ['ALTER d.t']],
  ])('publishes, before anything else happens: %s', async (sql, database, expected) => {
    await stepsOf(sql);
    const [change] = published;
    expect([published.length, change?.database, change?.ddl, change?.transaction]).toEqual([
      1,
      database,
      sql,
      TRANSACTION,
    ]);
    const name = ({ database: of, table }: { database: string; table: string }): string => `${of}.${table}`;
    expect(
      change?.tables.map(
        ({ type, table, previous }) => `${type} ${name(table)}${previous === undefined ? '' : ` < ${name(previous)}`}`,
      ),
    ).toEqual(expected);
  });

  it.each([
    ['ALTER TABLE excluded ADD COLUMN a INT'],
    ['CREATE TABLE other.t (id INT)'],
    ['CREATE DATABASE other'],
    ['CREATE VIEW v AS SELECT 1'],
    ["CREATE USER u IDENTIFIED BY 'secret'"],
    ['DROP TEMPORARY TABLE t'],
    ['GRANT SELECT ON d.* TO u'],
    ["XA START 'a'"],
  ])('does not publish what touches no included table: %s', async (sql) => {
    await stepsOf(sql);
    expect(published).toEqual([]);
  });

  it('I4: finds the tables of a server that keeps names in lower case, however the statement writes them', async () => {
    expect(await stepsOf('TRUNCATE T')).not.toContain('truncate t');
    handling = new StatementHandling({ ...options, lowerCaseNames: true });
    expect(await stepsOf('TRUNCATE D.T')).toEqual(['drain', 'truncate t']);
    expect(await stepsOf('RENAME TABLE T TO D.Other')).toEqual(['drain', 'drop t', 'read d.other']);
  });
});
