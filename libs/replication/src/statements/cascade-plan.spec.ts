import { describe, expect, it } from '@jest/globals';
import { type TableName } from '#change-events';
import { CascadePlan } from './cascade-plan.ts';
import { type CascadingKey } from '../ports/cascade-facts.ts';

/** `child.columns -> parent.columns`, then what is done on delete and on update. */
function key(
  reference: string,
  onDelete: CascadingKey['onDelete'] = 'cascade',
  onUpdate: CascadingKey['onUpdate'] = 'none',
): CascadingKey {
  const [child = '', parent = ''] = reference.split(' -> ');
  const [table = '', columns = ''] = child.split('.');
  const [parentTable = '', parentColumns = ''] = parent.split('.');
  return {
    name: `fk_${table}`,
    database: 'd',
    table,
    columns: columns.split(','),
    parent: { database: 'd', table: parentTable },
    parentColumns: parentColumns.split(','),
    onDelete,
    onUpdate,
  };
}

function named(tables: readonly TableName[]): string[] {
  return tables.map(({ table }) => table).sort();
}

function planOf(table: string, ...keys: readonly CascadingKey[]): { onDelete: string[]; onUpdate: unknown[] } | null {
  const cascades = new CascadePlan(keys).cascadesOf({ database: 'd', table });
  return (
    cascades && {
      onDelete: named(cascades.onDelete),
      onUpdate: cascades.onUpdate.map(({ columns, tables }) => [columns.join(), named(tables).join()]),
    }
  );
}

describe('CascadePlan', () => {
  it('knows nothing of a table that nobody refers to', () => {
    expect(planOf('c', key('c.p -> p.id'))).toBeNull();
    expect(planOf('p')).toBeNull();
    const other = new CascadePlan([key('c.p -> p.id')]).cascadesOf({ database: 'other', table: 'p' });
    expect(other).toBeNull();
  });

  it('follows a delete through any number of tables', () => {
    const keys = [key('c.p -> p.id'), key('g.c -> c.id'), key('gg.g -> g.id')];
    expect(planOf('p', ...keys)).toEqual({ onDelete: ['c', 'g', 'gg'], onUpdate: [] });
    expect(planOf('c', ...keys)).toEqual({ onDelete: ['g', 'gg'], onUpdate: [] });
  });

  it('stops where SET NULL changes no column that others follow', () => {
    const keys = [key('c.p -> p.id', 'set-null'), key('g.c -> c.id', 'cascade', 'cascade')];
    expect(planOf('p', ...keys)).toEqual({ onDelete: ['c'], onUpdate: [] });
  });

  it('continues where SET NULL changes a column that others follow', () => {
    const keys = [key('c.p -> p.id', 'set-null'), key('g.p -> c.p', 'none', 'cascade')];
    expect(planOf('p', ...keys)).toEqual({ onDelete: ['c', 'g'], onUpdate: [] });
  });

  it('follows an update of the columns that are referred to, unique or primary, whatever their case', () => {
    const keys = [
      key('c.code -> p.CODE', 'none', 'cascade'),
      key('d.id -> p.id', 'none', 'set-null'),
      key('g.code -> c.Code', 'none', 'cascade'),
      key('h.other -> c.other', 'none', 'cascade'),
    ];
    expect(planOf('p', ...keys)).toEqual({
      onDelete: [],
      onUpdate: [
        ['code', 'c,g'],
        ['id', 'd'],
      ],
    });
  });

  it('takes a key of several columns as a whole, and a change of one of them as a change', () => {
    const keys = [key('c.a,b -> p.x,y', 'none', 'cascade'), key('g.b -> c.b', 'none', 'cascade')];
    expect(planOf('p', ...keys)).toEqual({ onDelete: [], onUpdate: [['x,y', 'c,g']] });
  });

  it('comes to an end with a table that refers to itself, and with a circle', () => {
    expect(planOf('e', key('e.boss -> e.id'))).toEqual({ onDelete: ['e'], onUpdate: [] });
    const circle = [key('a.b -> b.id', 'cascade', 'cascade'), key('b.a -> a.id', 'cascade', 'cascade')];
    expect(planOf('a', ...circle)?.onDelete).toEqual(['a', 'b']);
  });

  it('names every table that a change can reach', () => {
    const keys = [key('c.p -> p.id', 'none', 'set-null'), key('d.p -> p.id'), key('g.p -> c.p', 'none', 'cascade')];
    expect(named(new CascadePlan(keys).descendantsOf({ database: 'd', table: 'p' }))).toEqual(['c', 'd', 'g']);
  });
});
