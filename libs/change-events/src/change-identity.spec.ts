import { describe, expect, test } from '@jest/globals';
import { makeChange, makeColumn, makeLayout, makeTransaction, SERVER_UUID } from '../test/samples.ts';
import { changeId, keyChanged, splitKeyChange } from './change-identity.ts';
import { changeVersion } from './version.ts';

const layout = makeLayout([makeColumn('id', 'bytes'), makeColumn('name', 'text')]);
const one = Buffer.from('1');
const two = Buffer.from('2');

describe('changeId', () => {
  test('a change of the log is its GTID and row', () => {
    expect(changeId(makeChange(layout, null, [one, 'a'], { rowIndex: 12 }))).toBe(`${SERVER_UUID}:42/12`);
    const truncate = { op: 'truncate', layout, transaction: makeTransaction(), rowIndex: 0 } as const;
    expect(changeId(truncate)).toBe(`${SERVER_UUID}:42/0`);
  });

  test('the end of a table that is in no log has an identity of its own', () => {
    const transaction = makeTransaction({ gtid: null, file: '', offset: 0 });
    expect(changeId({ op: 'truncate', layout, transaction, rowIndex: 0, id: 'shop/7/resync' })).toBe('shop/7/resync');
  });

  test('without GTIDs it is server, file, offset and row', () => {
    const transaction = makeTransaction({ gtid: null });
    expect(changeId(makeChange(layout, null, [one, 'a'], { transaction }))).toBe(`${SERVER_UUID}/binlog.000007/4711/3`);
  });

  test('a read is its window and key, whatever the other columns hold', () => {
    const read = { op: 'read', windowId: 'w-7', rowIndex: 0xffffffff, readSequence: 1 } as const;
    const ids = [
      makeChange(layout, null, [one, 'a'], read),
      makeChange(layout, null, [one, 'b'], { ...read, readSequence: 2 }),
      makeChange(layout, null, [two, 'a'], read),
    ].map((change) => changeId(change));
    expect(ids[0]).toMatch(/^w-7\/[\w-]{22}$/);
    expect(ids[1]).toBe(ids[0]);
    expect(ids[2]).not.toBe(ids[0]);
  });
});

describe('key change', () => {
  test('only an update that moves the row to another key is one', () => {
    expect(keyChanged(makeChange(layout, [one, 'a'], [two, 'a']))).toBe(true);
    expect(keyChanged(makeChange(layout, [one, 'a'], [Buffer.from('1'), 'b']))).toBe(false);
    expect(keyChanged(makeChange(layout, null, [one, 'a']))).toBe(false);
    expect(keyChanged(makeChange(layout, [one, 'a'], null))).toBe(false);
    expect(keyChanged(makeChange(makeLayout(layout.columns, []), [one, 'a'], [two, 'a']))).toBe(false);
  });

  test('is a delete of the old key, then a create of the new, of one version and two identities', () => {
    const change = makeChange(layout, [one, 'a'], [two, 'b']);
    const [removed, created] = splitKeyChange(change);
    expect([removed.op, removed.before, removed.after]).toEqual(['delete', [one, 'a'], null]);
    expect([created.op, created.before, created.after]).toEqual(['create', null, [two, 'b']]);
    expect([changeId(removed), changeId(created)]).toEqual([`${SERVER_UUID}:42/3/d`, `${SERVER_UUID}:42/3/c`]);
    expect(new Set([change, removed, created].map((each) => changeVersion(each))).size).toBe(1);
  });
});
