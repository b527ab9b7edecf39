import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { makeColumn } from '../test/samples.ts';
import { canonicalEquals, normalizeJson, normalizeNumber } from './canonical-equality.ts';
import { type CanonicalValue, type ColumnKind } from './table-layout.ts';

const CASES: Readonly<Record<ColumnKind, readonly (readonly [CanonicalValue, CanonicalValue, boolean])[]>> = {
  integer: [
    [1, 2, false],
    [0, null, false],
  ],
  bigint: [
    [9007199254740991, 9007199254740991n, true],
    [9007199254740993n, 9007199254740992n, false],
  ],
  decimal: [
    ['1.50', '1.5', true],
    ['-0.00', '0', true],
    ['1.50', '-1.50', false],
    ['100', '1E+2', true],
    ['99999999999999999999999999999999.01', '99999999999999999999999999999999.02', false],
  ],
  float: [[0.1, 0.2, false]],
  double: [
    [0, -0, true],
    [0.1, 0.30000000000000004 - 0.2, false],
  ],
  text: [
    ['a', 'A', false],
    ['a', 'a ', false],
    ['1.50', '1.5', false],
    [null, null, true],
    [null, '', false],
  ],
  bytes: [
    [Buffer.from('a'), Buffer.from('a'), true],
    [Buffer.from('a'), Buffer.from('a\0'), false],
  ],
  boolean: [[true, false, false]],
  bits: [[Buffer.from([1, 2]), Buffer.from([1, 2]), true]],
  date: [['2026-02-03', '2026-02-04', false]],
  time: [['-00:00:00.5', '00:00:00.5', false]],
  datetime: [
    ['2026-02-03T04:05:06.000007', '2026-02-03T04:05:06.000007', true],
    ['2026-02-03T04:05:06.000007', '2026-02-03T04:05:06.000008', false],
  ],
  timestamp: [['2026-02-03T04:05:06Z', '2026-02-03T04:05:07Z', false]],
  enum: [['a', 'A', false]],
  set: [['a,b', 'b,a', false]],
  json: [
    ['{"a":1,"b":[1.0,"x"]}', '{ "b" : [1, "\\u0078"], "a" : 1e0 }', true],
    ['[1,2]', '[2,1]', false],
    ['{"a":0.1}', '{"a":0.10000000000000001}', false],
    ['123456789012345678901', '123456789012345678902', false],
    ['"1"', '1', false],
    ['null', null, false],
    ['{"a":null}', '{}', false],
  ],
  geometry: [[Buffer.from([0, 0, 0, 0, 1]), Buffer.from([0, 0, 0, 0, 2]), false]],
  vector: [[Buffer.alloc(4), Buffer.alloc(4), true]],
};

describe('canonicalEquals', () => {
  test.each(
    Object.entries(CASES).flatMap(([kind, cases]) => cases.map((one) => [kind as ColumnKind, ...one] as const)),
  )('%s: %p and %p → %p', (kind, a, b, isEqual) => {
    expect(canonicalEquals(makeColumn('v', kind), a, b)).toBe(isEqual);
    expect(canonicalEquals(makeColumn('v', kind), b, a)).toBe(isEqual);
  });

  test('I8: a JSON document equals itself in any order of members and any spacing', () => {
    const shuffle = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(shuffle);
      if (typeof value !== 'object' || value === null) return value;
      return Object.fromEntries(
        Object.entries(value)
          .reverse()
          .map(([name, member]) => [name, shuffle(member)]),
      );
    };
    const column = makeColumn('v', 'json');
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        expect(canonicalEquals(column, text, JSON.stringify(shuffle(JSON.parse(text)), null, 2))).toBe(true);
        expect(normalizeJson(normalizeJson(text))).toBe(normalizeJson(text));
      }),
    );
  });

  test('two JSON documents are equal only when they say the same', () => {
    const column = makeColumn('v', 'json');
    fc.assert(
      fc.property(
        fc.jsonValue({ maxDepth: 1, depthSize: 'small' }),
        fc.jsonValue({ maxDepth: 1, depthSize: 'small' }),
        (a, b) => {
          const [left, right] = [JSON.stringify(a), JSON.stringify(b)];
          const isSame =
            JSON.stringify(sortMembers(JSON.parse(left))) === JSON.stringify(sortMembers(JSON.parse(right)));
          expect(canonicalEquals(column, left, right)).toBe(isSame);
        },
      ),
    );
  });

  test.each(['', '{', '[1,]', '[1 2]', '{"a"}', '{"a":}', '{a:1}', '"a', '1 2', 'nil', '{"a":1}}', '"\u0001"', '[}'])(
    'the text %j is refused as JSON',
    (text) => {
      expect(() => normalizeJson(text)).toThrow(
        expect.objectContaining({ code: expect.stringMatching(/^DITTO_VALUE_(JSON|NUMBER)_INVALID$/) }),
      );
    },
  );
});

/** An object becomes a list of its members by name, marked so that it is not read as an array. */
function sortMembers(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortMembers);
  if (typeof value !== 'object' || value === null) return value === 0 ? 0 : value;
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return { members: members.map(([name, member]) => ({ name, member: sortMembers(member) })) };
}

describe('normalizeNumber', () => {
  test('equal texts are equal numbers, exactly', () => {
    const decimal = fc.tuple(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), fc.integer({ min: 0, max: 30 }));
    fc.assert(
      fc.property(decimal, fc.integer({ min: 0, max: 9 }), ([digits, scale], zeros) => {
        const plain = `${digits}e-${scale}`;
        const padded = `${digits}${'0'.repeat(zeros)}E-${scale + zeros}`;
        expect(normalizeNumber(padded)).toBe(normalizeNumber(plain));
        expect(normalizeNumber(`${digits + 1n}e-${scale}`)).not.toBe(normalizeNumber(plain));
      }),
    );
  });

  test.each(['', '-', '.', 'x', '1e', '1.2.3', '0x10', 'Infinity'])('%j is not a number', (text) => {
    expect(() => normalizeNumber(text)).toThrow(expect.objectContaining({ code: 'DITTO_VALUE_NUMBER_INVALID' }));
  });
});
