import { beforeEach, describe, expect, it } from '@jest/globals';
import { classifyStatement, type Row, type TableLayout, type TableName, ValueImages } from '#change-events';
import { DittoError } from '#kernel';
import { CascadeHandling, type CascadeOptions } from './cascade-handling.ts';
import { KnownTables } from '../tables/known-tables.ts';
import { definedTables } from './statement-effects.ts';
import { type CascadingKey } from '../ports/cascade-facts.ts';
import { layout as child } from '../../test/windowed-read-model.ts';

const column = child.columns[0] as TableLayout['columns'][0];
const parent: TableLayout = {
  ...child,
  table: 'p',
  columns: ['id', 'code', 'other'].map((name) => ({ ...column, name })),
};
const byCode: CascadingKey = {
  name: 'by_code',
  database: 'd',
  table: 't',
  columns: ['value'],
  parent: { database: 'd', table: 'p' },
  parentColumns: ['code'],
  onDelete: 'cascade',
  onUpdate: 'cascade',
};

let asked: string[][];
let covered: boolean;
let keys: readonly CascadingKey[];
let failure: Error | null;
let executed: string[];
let readOf: string[][];

beforeEach(() => {
  asked = [];
  covered = false;
  keys = [byCode];
  failure = null;
  executed = [];
  readOf = [];
});

function build(options: Partial<CascadeOptions> = {}): CascadeHandling {
  const facts = {
    read: (_: AbortSignal, dispatchedSet: string, tables: readonly TableName[]) => {
      executed.push(dispatchedSet);
      const names = tables.map(({ table }) => table);
      readOf.push(names);
      return failure === null
        ? Promise.resolve(keys.filter(({ table }) => names.includes(table)))
        : Promise.reject(failure);
    },
  };
  return new CascadeHandling({
    facts,
    keys,
    rereads: true,
    isAsked: () => covered,
    onCascade: (tables: readonly TableName[]) => {
      asked.push(tables.map(({ table }) => table));
      return Promise.resolve();
    },
    includes: (database, table) => database === 'd' && table !== 'excluded',
    tables: new KnownTables([child, parent]),
    signal: new AbortController().signal,
    dispatchedSet: () => 'u:7',
    hold: (action) => action(),
    ...options,
  });
}

async function askedFor(
  handling: CascadeHandling,
  before: readonly Row[] | null,
  after: readonly Row[] | null,
  layout = parent,
): Promise<string[][]> {
  asked = [];
  const images = (rows: readonly Row[] | null): ValueImages | null => rows && new ValueImages(layout, rows);
  handling.note(layout, images(before), images(after));
  await handling.record();
  return asked;
}

describe('CascadeHandling', () => {
  it('asks for the children of a deleted row, once for a transaction', async () => {
    const handling = build();
    handling.note(parent, new ValueImages(parent, [[9, 9, 9]]), null);
    expect(await askedFor(handling, [[1, 2, 3]], null)).toEqual([['t']]);
    expect(handling.record()).toBeUndefined();
  });

  it('asks when any row of an update changes a column that is referred to', async () => {
    const handling = build();
    const rows = [
      [1, 2, 3],
      [4, 5, 6],
    ];
    expect(await askedFor(handling, rows, [rows[0] as Row, [4, 50, 6]])).toEqual([['t']]);
    expect(await askedFor(handling, rows, [rows[0] as Row, [40, 5, 60]])).toEqual([]);
    expect(await askedFor(handling, null, rows)).toEqual([]);
    expect(await askedFor(handling, [[1, 2]], null, child)).toEqual([]);
  });

  it.each(['before', 'after'])(
    'I6: treats an image %s an update that can not be decoded as a change',
    async (which) => {
      const handling = build();
      const images = { before: new ValueImages(parent, [[1, 2, 3]]), after: new ValueImages(parent, [[1, 2, 4]]) };
      images[which as 'before'].row = () => {
        throw new DittoError('DITTO_SOURCE_TEXT_INVALID', 'a text');
      };
      handling.note(parent, images.before, images.after);
      await handling.record();
      expect(asked).toEqual([['t']]);
    },
  );

  it('treats every update as a change when the column is not in the layout', async () => {
    const renamed = { ...parent, columns: parent.columns.map((part) => ({ ...part, name: `${part.name}_2` })) };
    expect(await askedFor(build(), [[1, 2, 3]], [[1, 2, 4]], renamed)).toEqual([['t']]);
  });

  it('waits for nothing when a read that is still to begin covers it', () => {
    covered = true;
    const handling = build();
    handling.note(parent, new ValueImages(parent, [[1, 2, 3]]), null);
    expect(handling.record()).toBeUndefined();
    expect(asked).toEqual([]);
  });

  async function after(sql: string, handling = build()): Promise<string[][]> {
    asked = [];
    executed = [];
    const statement = classifyStatement(sql, 'd');
    const includes = (database: string, table: string): boolean => database === 'd' && table !== 'excluded';
    const defined = definedTables(statement, { includes, tables: new KnownTables([child, parent]) });
    await handling.learnFrom(statement, sql, defined);
    return asked;
  }

  it('learns of a foreign key that a statement adds, and forgets one that it takes away', async () => {
    keys = [];
    const handling = build();
    expect(await askedFor(handling, [[1, 2, 3]], null)).toEqual([]);
    keys = [byCode];
    expect(
      await after('ALTER TABLE t ADD FOREIGN KEY (value) REFERENCES p (code) ON DELETE CASCADE', handling),
    ).toEqual([]);
    expect(executed).toEqual(['u:7']);
    expect(await askedFor(handling, [[1, 2, 3]], null)).toEqual([['t']]);
    keys = [];
    await after('ALTER TABLE t DROP FOREIGN KEY by_code', handling);
    expect(await askedFor(handling, [[1, 2, 3]], null)).toEqual([]);
  });

  it.each([
    ['ALTER TABLE t DROP FOREIGN KEY by_code', [['t']]],
    ['ALTER TABLE t DROP CONSTRAINT by_code, ADD INDEX (value)', [['t']]],
    ['ALTER TABLE p DROP FOREIGN KEY x', [['p', 't']]],
    ['RENAME TABLE p TO excluded', [['t']]],
    ['RENAME TABLE excluded TO p', [['t']]],
    ['DROP TABLE p', [['t']]],
    ['DROP DATABASE d', [['t']]],
    ['DROP TABLE t', []],
    ['ALTER TABLE t ADD COLUMN x INT', []],
    ['TRUNCATE TABLE t', []],
  ])('I4: reads again what a foreign key did that the catalogue no longer shows: %s', async (sql, expected) => {
    expect(await after(sql)).toEqual(expected);
    expect(executed).toHaveLength(1);
  });

  it.each(['ALTER TABLE excluded DROP FOREIGN KEY x', 'CREATE VIEW v AS SELECT 1', 'ALTER TABLE other.t ADD x INT'])(
    'asks the catalogue nothing for what touches no included table: %s',
    async (sql) => {
      expect(await after(sql)).toEqual([]);
      expect(executed).toEqual([]);
    },
  );

  it('asks the catalogue for the tables that a statement concerns, and no others', async () => {
    const other = { ...byCode, table: 'o', parent: { database: 'd', table: 'q' } };
    keys = [byCode, other];
    const handling = build();
    await after('ALTER TABLE p ADD COLUMN x INT', handling);
    expect(readOf).toEqual([['p', 't']]);
    expect(await askedFor(handling, [[1, 2, 3]], null, { ...parent, table: 'q' })).toEqual([['o']]);
  });

  it('I6: stops at a statement after which foreign keys can not be followed', async () => {
    failure = new DittoError('DITTO_SOURCE_CASCADES_UNLOGGED', 'an excluded parent');
    await expect(after('ALTER TABLE t ADD FOREIGN KEY (value) REFERENCES excluded (id)')).rejects.toBe(failure);
  });

  it('reads nothing again for a source that refuses cascades', async () => {
    keys = [];
    expect(await after('ALTER TABLE t DROP FOREIGN KEY x', build({ rereads: false }))).toEqual([]);
    expect(executed).toHaveLength(1);
  });
});
