import { describe, expect, it } from '@jest/globals';
import { makeColumn, makeLayout } from '../test/samples.ts';
import { decodeSelection, readRowScope, type ScopeCondition } from './row-scope.ts';
import { type ColumnKind, VALUE_TYPE } from './table-layout.ts';

const kinds = Object.keys(VALUE_TYPE) as readonly ColumnKind[];
const layout = makeLayout(
  kinds.map((kind) => ({ ...makeColumn(kind, kind), ...(/enum|set/.test(kind) && { labels: ['a', "b'"] }) })),
  [kinds.indexOf('bigint'), kinds.indexOf('text')],
);

function decode(condition: ScopeCondition): unknown {
  const selection = decodeSelection(layout, { kind: 'filter', where: [condition] });
  return selection.kind === 'filter' ? selection.conditions[0]?.values : selection;
}

function decodeValue(column: string, value: ScopeCondition['value']): unknown {
  return decode({ column, op: Array.isArray(value) ? 'in' : '=', value });
}

describe('a scope in a request', () => {
  it.each([
    [{}, null],
    [{ keys: [[1, 'a'], ['2']] }, { kind: 'keys', keys: ['[1,"a"]', '["2"]'] }],
    [{ range: { from: [1] } }, { kind: 'range', from: '[1]', to: null }],
    [
      { where: [{ column: 'a', op: '=', value: 1 }] as const },
      { kind: 'filter', where: [{ column: 'a', op: '=', value: 1 }] },
    ],
  ])('%j', (fields, scope) => {
    expect(readRowScope(fields)).toEqual(scope);
  });
});

describe('a filter', () => {
  it.each<[string, ScopeCondition['value'], readonly unknown[]]>([
    ['integer', '-7', [-7]],
    ['bigint', '18446744073709551615', [18446744073709551615n]],
    ['bigint', [1, '2'], [1, 2]],
    ['decimal', 1.5, ['1.5']],
    ['decimal', '-0001.500', ['-0001.500']],
    ['double', '1.5E-3', [0.0015]],
    ['float', 2, [2]],
    ['text', "' OR 1=1 -- ", ["' OR 1=1 -- "]],
    ['bytes', 'AP8=', [Buffer.from([0, 255])]],
    ['boolean', 'true', [true]],
    ['boolean', 0, [false]],
    ['date', '2024-02-29', ['2024-02-29']],
    ['date', '0000-00-00', ['0000-00-00']],
    ['time', '-838:59:59.5', ['-838:59:59.5']],
    ['datetime', '2026-02-03', ['2026-02-03T00:00:00']],
    ['datetime', '2026-02-03 04:05:06.000007', ['2026-02-03T04:05:06.000007']],
    ['timestamp', '2026-02-03T04:05:06Z', ['2026-02-03T04:05:06']],
    ['enum', "b'", ["b'"]],
    ['set', "b',a", ["b',a"]],
  ])('takes for %s %j', (column, value, values) => {
    expect(decodeValue(column, value)).toEqual(values);
  });

  it.each<[string, ScopeCondition['value']]>([
    ['integer', '1 OR 1=1'],
    ['integer', '0x10'],
    ['integer', true],
    ['bigint', '9'.repeat(21)],
    ['bigint', 1.5],
    ['decimal', '1); DROP TABLE t; --'],
    ['decimal', '1e3'],
    ['float', 'NaN'],
    ['double', '1e999'],
    ['double', 'SLEEP(9)'],
    ['text', 7],
    ['bytes', "' OR ''='"],
    ['bits', 7],
    ['boolean', 'yes'],
    ['date', '2026-02-30'],
    ['date', "2026-02-03' OR '1"],
    ['date', '2026-00-01'],
    ['time', '25 hours'],
    ['time', '839:00:00'],
    ['datetime', '2026-02-03T04:05:06Z'],
    ['datetime', '2026-02-03T24:00:00'],
    ['timestamp', "2026-02-03T04:05:06' --"],
    ['enum', 'c'],
    ['set', 'a,c'],
    ['json', '{}'],
    ['geometry', 'AAAA'],
    ['vector', 'AAAA'],
  ])('refuses for %s %j', (column, value) => {
    expect(() => decodeValue(column, value)).toThrow(expect.objectContaining({ code: 'DITTO_SCOPE_INVALID' }));
  });

  it.each<[ScopeCondition, RegExp]>([
    [{ column: '` OR 1=1 -- ', op: '=', value: 1 }, /no column/],
    [{ column: 'toString', op: '=', value: 1 }, /no column/],
    [{ column: 'integer', op: 'in', value: 1 }, /a list/],
    [{ column: 'integer', op: '<', value: [1] }, /one value/],
    [{ column: 'integer', op: '=' }, /one value/],
    [{ column: 'integer', op: 'is null', value: 1 }, /no value/],
    [{ column: 'enum', op: '<', value: 'a' }, /not compared/],
    [{ column: 'set', op: '>=', value: 'a' }, /not compared/],
  ])('refuses %j', (condition, why) => {
    expect(() => decode(condition)).toThrow(why);
  });

  it('takes no value for NULL, of any column', () => {
    for (const column of kinds) expect(decode({ column, op: 'is null' })).toEqual([]);
  });
});

describe('a range', () => {
  it('has keys of the table', () => {
    expect(decodeSelection(layout, { kind: 'range', from: '["1","a"]', to: null })).toEqual({
      kind: 'range',
      from: [1, 'a'],
      to: null,
    });
  });

  it('takes texts for numbers, as conditions do', () => {
    const decimals = { ...layout, key: [kinds.indexOf('integer'), kinds.indexOf('decimal')] };
    expect(decodeSelection(decimals, { kind: 'range', from: '["7","1.5"]', to: null })).toMatchObject({
      from: [7, '1.5'],
    });
  });

  it.each(['[1]', '[1,2]', '["1; --","a"]', 'x'])('refuses %s', (key) => {
    expect(() => decodeSelection(layout, { kind: 'range', from: key, to: null })).toThrow(
      expect.objectContaining({ code: 'DITTO_SCOPE_INVALID' }),
    );
  });
});
