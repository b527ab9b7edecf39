import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { makeChange, makeColumn, makeLayout, makeTransaction, SERVER_UUID } from '../test/samples.ts';
import { asRowChanges, type RowChange } from './change.ts';
import { type ChangePart, type EnvelopeOptions, EnvelopeWriter } from './envelope.ts';
import { type TableLayout } from './table-layout.ts';

const layout = makeLayout([makeColumn('id', 'bigint'), makeColumn('name', 'text')]);
const options = { source: 'shop "1"', version: '0.1.0', bigint: 'number' } as const;
const NOW = 1_770_000_000_999;

function source(members: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    version: '0.1.0',
    connector: 'mysql',
    name: 'shop "1"',
    ts_ms: 1_770_000_000_123,
    snapshot: 'false',
    db: 'shop',
    table: 'orders',
    server_id: 11,
    gtid: `${SERVER_UUID}:42`,
    file: 'binlog.000007',
    pos: 4711,
    row: 3,
    ...members,
  };
}

function compileEnvelopeEncoder(
  of: TableLayout,
  how: EnvelopeOptions,
  part: ChangePart = 'whole',
): (change: RowChange, nowMs: number) => string {
  const writer = new EnvelopeWriter(of, how);
  return (change, nowMs) => {
    const changes = asRowChanges(change);
    const target = Buffer.alloc(writer.bound(changes, 0) + 7);
    return target.toString('utf8', 7, writer.write(changes, 0, part, nowMs, target, 7));
  };
}

describe('envelope', () => {
  const encode = compileEnvelopeEncoder(layout, options);

  test.each([
    ['c', makeChange(layout, null, [1, 'a']), null, { id: 1, name: 'a' }, {}],
    ['u', makeChange(layout, [1, 'a'], [1, null]), { id: 1, name: 'a' }, { id: 1, name: null }, {}],
    ['d', makeChange(layout, [1, 'a'], null), { id: 1, name: 'a' }, null, {}],
    [
      'r',
      makeChange(layout, null, [1, 'a'], { op: 'read', rowIndex: 0xffffffff, readSequence: 9, windowId: 'w' }),
      null,
      { id: 1, name: 'a' },
      { snapshot: 'incremental', row: 0 },
    ],
    [
      'd',
      makeChange(layout, [1, 'a'], null, { rowIndex: 0xffffffff, readSequence: 9, windowId: 'w' }),
      { id: 1, name: 'a' },
      null,
      { snapshot: 'incremental', row: 0 },
    ],
  ])('op %s has exactly the members of the contract, in their order', (op, change, before, after, members) => {
    const expected = { before, after, source: source(members), op, ts_ms: NOW, transaction: null };
    expect(encode(change, NOW)).toBe(JSON.stringify(expected));
  });

  test('what is kept between calls never gets into another transaction, kind of change or time', () => {
    const other = makeTransaction({
      gtid: null,
      file: 'binlog.000008',
      offset: 2 ** 33,
      commitMicros: 1_999,
      serverId: 12,
    });
    const expectedSource = source({ gtid: null, file: 'binlog.000008', pos: 2 ** 33, ts_ms: 1, server_id: 12 });
    const first = makeChange(layout, null, [1, 'a']);
    const second = makeChange(layout, null, [2, 'b'], { transaction: other });
    const read = makeChange(layout, null, [2, 'b'], { op: 'read', windowId: 'w', transaction: other });
    const texts = [first, second, read, second, first].map((change, i) => encode(change, NOW + (i >> 1)));
    const parsed = texts.map((text) => JSON.parse(text) as { source: unknown; ts_ms: number; op: string });
    expect(parsed.map(({ source: found }) => found)).toEqual([
      source(),
      expectedSource,
      { ...expectedSource, snapshot: 'incremental', row: 0 },
      expectedSource,
      source(),
    ]);
    expect(parsed.map(({ ts_ms }) => ts_ms - NOW)).toEqual([0, 0, 1, 1, 2]);
    expect(parsed.map(({ op }) => op)).toEqual(['c', 'c', 'r', 'c', 'c']);
  });

  test.each([
    ['removal', { before: { id: 1, name: 'a' }, after: null, op: 'd' }],
    ['creation', { before: null, after: { id: 2, name: 'b' }, op: 'c' }],
  ] as const)('the %s of a changed key holds one image', (part, members) => {
    const text = compileEnvelopeEncoder(layout, options, part)(makeChange(layout, [1, 'a'], [2, 'b']), NOW);
    expect(JSON.parse(text)).toMatchObject(members);
  });

  test('names that are not ASCII, and any place and time, are the text that JSON.stringify gives', () => {
    const odd = { ...layout, database: 'ärger', table: '表 "x"' };
    const write = compileEnvelopeEncoder(odd, { ...options, source: 'quelle-é' });
    fc.assert(
      fc.property(fc.nat(2 ** 48 - 1), fc.maxSafeNat(), fc.nat(0xfffffffe), (offset, nowMs, rowIndex) => {
        const transaction = makeTransaction({ offset, gtid: null, file: 'lög.000001' });
        const text = write(makeChange(odd, null, [1, 'a'], { transaction, rowIndex }), nowMs);
        const parsed = JSON.parse(text) as { source: Record<string, unknown>; ts_ms: number };
        expect(parsed.ts_ms).toBe(nowMs);
        expect(parsed.source).toMatchObject({
          db: 'ärger',
          table: '表 "x"',
          name: 'quelle-é',
          pos: offset,
          row: rowIndex,
        });
        expect(JSON.stringify(parsed)).toBe(text);
      }),
    );
  });

  test('integers beyond 2^53 keep all digits, or are strings by option', () => {
    const change = makeChange(layout, null, [18446744073709551615n, 'a']);
    expect(encode(change, NOW)).toContain('"after":{"id":18446744073709551615,');
    const asStrings = compileEnvelopeEncoder(layout, { ...options, bigint: 'string' });
    expect(asStrings(change, NOW)).toContain('"after":{"id":"18446744073709551615",');
  });

  test.each(['truncate', 'drop'] as const)('%s is op t without images', (op) => {
    const change = { op, layout, transaction: makeTransaction(), rowIndex: 0 };
    const expected = { before: null, after: null, source: source({ row: 0 }), op: 't', ts_ms: NOW, transaction: null };
    expect(new EnvelopeWriter(layout, options).encodeTableChange(change, NOW).toString()).toBe(
      JSON.stringify(expected),
    );
  });
});
