import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { binaryJson } from '../../test/binary-json.ts';
import { JsonDiffError, patchedJsonText } from './json-diff.ts';
import { parseJsonPath } from './json-path.ts';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

function uint(value: number, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  bytes.writeUIntLE(value, 0, size);
  return bytes;
}

/** Sorts as MySQL does: by length in bytes, then by bytes. */
function sortedEntries(value: Record<string, Json>): [Buffer, Json][] {
  return Object.entries(value)
    .map(([key, member]): [Buffer, Json] => [Buffer.from(key), member])
    .sort(([a], [b]) => a.length - b.length || Buffer.compare(a, b));
}

function sorted(value: Json): Json {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  // a key that looks like an index would come first in any object that JavaScript makes
  return Object.fromEntries(sortedEntries(value).map(([key, member]) => [key.toString(), sorted(member)]));
}

function binary(value: Json): Buffer {
  return binaryJson(sorted(value));
}

function text(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(text).join(', ')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  return `{${sortedEntries(value)
    .map(([key, member]) => `${JSON.stringify(key.toString())}: ${text(member)}`)
    .join(', ')}}`;
}

interface Diff {
  readonly operation: number;
  readonly path: string;
  readonly value?: Json;
}

function field(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([252]), uint(bytes.length, 2), bytes]);
}

function patch(document: Json, ...diffs: readonly Diff[]): string {
  const bytes = Buffer.concat(
    diffs.map(({ operation, path, value }) =>
      Buffer.concat([
        uint(operation, 1),
        field(Buffer.from(path)),
        ...(value === undefined ? [] : [field(binary(value))]),
      ]),
    ),
  );
  return patchedJsonText(binary(document), bytes, 0, bytes.length);
}

describe('a partial update', () => {
  const document: Json = { a: { list: [1, [2, 'x'], { deep: true }], 'b c': 'old' }, bb: null };

  test.each<[string, Diff[], Json]>([
    ['replaces a member', [{ operation: 0, path: '$.bb', value: [7] }], { ...document, bb: [7] }],
    [
      'replaces a nested cell',
      [{ operation: 0, path: '$.a.list[1][0]', value: 'y' }],
      { a: { list: [1, ['y', 'x'], { deep: true }], 'b c': 'old' }, bb: null },
    ],
    [
      'inserts a member',
      [{ operation: 1, path: '$.a."ü\\"x"', value: 1 }],
      { a: { list: [1, [2, 'x'], { deep: true }], 'b c': 'old', 'ü"x': 1 }, bb: null },
    ],
    [
      'inserts before a cell',
      [{ operation: 1, path: '$.a.list[1]', value: 0 }],
      { a: { list: [1, 0, [2, 'x'], { deep: true }], 'b c': 'old' }, bb: null },
    ],
    [
      'inserts after the last cell',
      [{ operation: 1, path: '$.a.list[99]', value: 0 }],
      { a: { list: [1, [2, 'x'], { deep: true }, 0], 'b c': 'old' }, bb: null },
    ],
    [
      'removes',
      [
        { operation: 2, path: '$.a."b c"' },
        { operation: 2, path: '$.a.list[last-2]' },
      ],
      { a: { list: [[2, 'x'], { deep: true }] }, bb: null },
    ],
    [
      'continues in what it put there',
      [
        { operation: 0, path: '$.bb', value: { n: {} } },
        { operation: 1, path: '$.bb.n.o', value: 3 },
      ],
      { a: { list: [1, [2, 'x'], { deep: true }], 'b c': 'old' }, bb: { n: { o: 3 } } },
    ],
    ['may change nothing', [], document],
  ])('%s', (_name, diffs, expected) => {
    expect(patch(document, ...diffs)).toBe(text(expected));
  });

  test.each<[string, Diff]>([
    ['a member that is not there', { operation: 0, path: '$.x', value: 1 }],
    ['a member that is there already', { operation: 1, path: '$.bb', value: 1 }],
    ['a cell of an object', { operation: 1, path: '$.a[0]', value: 1 }],
    ['a member of an array', { operation: 1, path: '$.a.list.x', value: 1 }],
    ['a cell beyond the end', { operation: 2, path: '$.a.list[3]' }],
    ['something below a scalar', { operation: 1, path: '$.bb.x', value: 1 }],
    ['the whole document', { operation: 0, path: '$', value: 1 }],
  ])('is refused for %s', (_name, diff) => {
    expect(() => patch(document, diff)).toThrow(JsonDiffError);
  });

  test('is the same as changing the document, whatever that is', () => {
    const key = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 4 }), fc.constantFrom('a', 'b', 'é', 'zz'));
    const { json } = fc.letrec<{ json: Json }>((tie) => ({
      json: fc.oneof(
        { maxDepth: 4, depthSize: 'small' },
        fc.constantFrom<Json>(null, true, false),
        fc.integer(),
        fc.string({ unit: 'grapheme' }),
        fc.array(tie('json'), { maxLength: 4 }),
        fc.dictionary(key, tie('json'), { maxKeys: 4, noNullPrototype: true }),
      ),
    }));
    fc.assert(
      fc.property(json, json, key, fc.infiniteStream(fc.nat()), (start, value, newKey, random) => {
        const next = (below: number): number => (random.next() as IteratorYieldResult<number>).value % below;
        const changed = structuredClone(start);
        let path = '$';
        let node = changed;
        while (node !== null && typeof node === 'object') {
          const leg = Array.isArray(node) ? next(node.length + 1) : (Object.keys(node)[next(5)] ?? newKey);
          path += typeof leg === 'number' ? `[${leg}]` : `.${JSON.stringify(leg)}`;
          const inner = Array.isArray(node) ? node[Number(leg)] : node[leg];
          if (typeof inner === 'object' && inner !== null && next(3) > 0) {
            node = inner;
            continue;
          }
          const operation = inner === undefined ? 1 : next(3);
          if (operation === 1 && inner !== undefined && !Array.isArray(node)) return;
          if (Array.isArray(node))
            node.splice(Number(leg), operation === 1 ? 0 : 1, ...(operation === 2 ? [] : [value]));
          else if (operation === 2) Reflect.deleteProperty(node, leg);
          else node[leg] = value;
          expect(patch(start, operation === 2 ? { operation, path } : { operation, path, value })).toBe(text(changed));
          return;
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('paths', () => {
  test.each([
    ['$', []],
    [' $ . a [ 0 ] ', [{ member: 'a' }, { cell: 0, fromEnd: false }]],
    ['$."a.b[0]"', [{ member: 'a.b[0]' }]],
    ['$.é$_1', [{ member: 'é$_1' }]],
    ['$."\\u0041\\n"', [{ member: 'A\n' }]],
    ['$[last]', [{ cell: 0, fromEnd: true }]],
    [
      '$[last - 3][4]',
      [
        { cell: 3, fromEnd: true },
        { cell: 4, fromEnd: false },
      ],
    ],
  ])('%s', (path, legs) => {
    expect(parseJsonPath(path)).toEqual(legs);
  });

  test.each(['', 'a', '$a', '$.', '$[', '$[a]', '$[-1]', '$.*', '$[*]', '$**.a', '$[1 to 2]', '$."a', '$.a b'])(
    '%s is not one',
    (path) => {
      expect(() => parseJsonPath(path)).toThrow(SyntaxError);
    },
  );
});
