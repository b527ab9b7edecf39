import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { GtidAccumulator } from './gtid-accumulator.ts';
import { GtidSet, isGtid } from './gtid-set.ts';

const A = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const B = '81d7f2b1-0000-11e1-9e33-c80aa9429562';

// The naive model: a set of GTIDs as MySQL writes single ones.
const sid = fc.constantFrom(A, B, `${A}:blue`, `${A}:a_2`, `${B}:blue`);
const gtid = fc.tuple(sid, fc.integer({ min: 1, max: 25 })).map(([name, number]) => `${name}:${number}`);
const model = fc.array(gtid, { maxLength: 60 }).map((list) => new Set(list));

/** One item per GTID, in any order: the parser has to join them. */
function toGtidSet(gtids: ReadonlySet<string>): GtidSet {
  return GtidSet.parse([...gtids].join(','));
}

function isSubset(part: ReadonlySet<string>, whole: ReadonlySet<string>): boolean {
  return [...part].every((one) => whole.has(one));
}

/** Every single GTID that the set's text means, read by code of its own. */
function expand(set: GtidSet): Set<string> {
  const result = new Set<string>();
  for (const item of set.toString().split(',').filter(Boolean)) {
    const [uuid = '', ...parts] = item.split(':');
    let name = uuid;
    for (const part of parts) {
      if (!/^\d/.test(part)) name = `${uuid}:${part}`;
      else {
        const [start = '', end = start] = part.split('-');
        for (let number = Number(start); number <= Number(end); number++) result.add(`${name}:${number}`);
      }
    }
  }
  return result;
}

describe('GtidSet against a set of single GTIDs', () => {
  test('holds exactly what it was parsed from', () => {
    fc.assert(fc.property(model, (gtids) => expect(expand(toGtidSet(gtids))).toEqual(gtids)));
  });

  test('parse and format are inverse, and the text of equal sets is one', () => {
    fc.assert(
      fc.property(model, (gtids) => {
        const set = toGtidSet(gtids);
        expect(GtidSet.parse(set.toString()).toString()).toBe(set.toString());
        const shuffled = GtidSet.parse([...gtids].reverse().join(' ,\n').toUpperCase());
        expect(shuffled.equals(set)).toBe(true);
        expect(set.count()).toBe(BigInt(gtids.size));
        expect(set.isEmpty).toBe(gtids.size === 0);
      }),
    );
  });

  test('intervals of one server are joined: no two of them touch', () => {
    fc.assert(
      fc.property(model, (gtids) => {
        for (const intervals of toGtidSet(gtids).intervals.values()) {
          expect(intervals.length).toBeGreaterThan(0);
          for (let i = 2; i < intervals.length; i += 2) {
            expect(intervals[i]).toBeGreaterThan((intervals[i - 1] as number) + 1);
          }
        }
      }),
    );
  });

  test('union, subtract, intersect, contains and equals are what they are for sets', () => {
    fc.assert(
      fc.property(model, model, (a, b) => {
        const [left, right] = [toGtidSet(a), toGtidSet(b)];
        expect(expand(left.union(right))).toEqual(new Set([...a, ...b]));
        expect(expand(left.subtract(right))).toEqual(new Set([...a].filter((one) => !b.has(one))));
        expect(left.subtract(right).isEmpty).toBe(isSubset(a, b));
        expect(left.intersect(right).isEmpty).toBe(![...a].some((one) => b.has(one)));
        expect(expand(left.intersect(right))).toEqual(new Set([...a].filter((one) => b.has(one))));
        expect(left.contains(right)).toBe(isSubset(b, a));
        expect(left.union(right).contains(right)).toBe(true);
        expect(left.equals(right)).toBe(isSubset(a, b) && isSubset(b, a));
        expect(left.subtract(right).union(left.intersect(right)).equals(left)).toBe(true);
      }),
    );
  });

  test('containsGtid says of each GTID whether it is a member', () => {
    fc.assert(
      fc.property(model, gtid, (gtids, asked) => expect(toGtidSet(gtids).containsGtid(asked)).toBe(gtids.has(asked))),
    );
  });

  test('long intervals are kept apart and joined by value, not by element', () => {
    const interval = fc
      .tuple(fc.integer({ min: 1, max: 2 ** 40 }), fc.integer({ min: 0, max: 2 ** 30 }))
      .map(([start, length]) => `${A}:${start}-${start + length}`);
    fc.assert(
      fc.property(fc.array(interval, { minLength: 1, maxLength: 8 }), (items) => {
        const whole = GtidSet.parse(items.join(','));
        const parts = items.map((item) => GtidSet.parse(item));
        const united = parts.reduce((set, part) => set.union(part), GtidSet.empty);
        expect(united.toString()).toBe(whole.toString());
        for (const part of parts) {
          const others = GtidSet.parse(items.filter((item) => item !== part.toString()).join(','));
          expect(others.contains(part)).toBe(part.subtract(others).isEmpty);
        }
        const [first = GtidSet.empty] = parts;
        expect(whole.subtract(first).count()).toBe(whole.count() - first.count());
        expect(whole.intersect(first).equals(first)).toBe(true);
      }),
    );
  });
});

describe('GtidSet text', () => {
  test.each([
    ['', ''],
    [' \n', ''],
    [`${A}:1`, `${A}:1`],
    [`${A}:1-1`, `${A}:1`],
    [`${A}:1-3:5-7`, `${A}:1-3:5-7`],
    [`${A}:5-7:1-3`, `${A}:1-3:5-7`],
    [`${A}:1-3:4`, `${A}:1-4`],
    [`${A}:1-5:2-3`, `${A}:1-5`],
    [`${B}:1,\n${A}:1`, `${A}:1,${B}:1`],
    [`${A}:1,${A}:2`, `${A}:1-2`],
    [`${A.toUpperCase()}:1 - 3`, `${A}:1-3`],
    [`${A}:1-3:Blue:4:a_2:7-9:5`, `${A}:1-3:a_2:5:7-9:blue:4`],
    [`${A}:blue:1:green:1`, `${A}:blue:1:green:1`],
    [`${A}:1:blue:1,${B}:3:blue:1`, `${A}:1:blue:1,${B}:3:blue:1`],
    [`,${A}:1,,`, `${A}:1`],
    [`${A}:9007199254740991`, `${A}:9007199254740991`],
  ])('%j is %j', (text, canonical) => {
    expect(GtidSet.parse(text).toString()).toBe(canonical);
    expect(JSON.stringify(GtidSet.parse(text))).toBe(JSON.stringify(canonical));
  });

  test.each([
    'x',
    A,
    `${A}:`,
    `${A}:0`,
    `${A}:0-5`,
    `${A}:5-3`,
    `${A}:1-`,
    `${A}:-3`,
    `${A}:1:`,
    `${A}:blue`,
    `${A}:blue:green:1`,
    `${A}:1:9lives:2`,
    `${A}:${'a'.repeat(33)}:2`,
    `${A}:9007199254740992`,
    `${A.slice(1)}:1`,
    '0-1-100:5',
  ])('%j is refused with a code', (text) => {
    expect(() => GtidSet.parse(text)).toThrow(expect.objectContaining({ code: 'DITTO_POSITION_GTID_INVALID' }));
  });

  test.each(['', A, `${A}:1-2`, `${A}:blue`, `${A}:9lives:1`, `${A}:9007199254740992`])(
    '%j is no single GTID',
    (text) => {
      const code = expect.objectContaining({ code: 'DITTO_POSITION_GTID_INVALID' });
      expect(() => GtidSet.empty.containsGtid(text)).toThrow(code);
      expect(() => new GtidAccumulator().add(text)).toThrow(code);
    },
  );
});

describe('isGtid', () => {
  test.each([`${A}:1`, `${A}:backup_2:9007199254740991`, '0-1-5'])('%s is one', (text) => {
    expect(isGtid(text)).toBe(true);
    expect(GtidSet.parse(text).containsGtid(text)).toBe(true);
  });

  test.each(['', A, `${A}:`, `${A}:0`, `${A}:1-5`, `${A}:1 `, `${A}:9x:1`, '0-1', '0-1-5,1-1-5', 'x'])(
    '"%s" is not one',
    (text) => {
      expect(isGtid(text)).toBe(false);
    },
  );
});

describe('GtidAccumulator', () => {
  test('equals the set of everything added, in whatever order', () => {
    fc.assert(
      fc.property(model, fc.array(gtid, { maxLength: 60 }), model, (start, added, more) => {
        const accumulator = new GtidAccumulator(toGtidSet(start));
        const expected = new Set(start);
        added.forEach((one, i) => {
          if (i === 5 || i === 10) {
            if (i === 10) accumulator.addAll(toGtidSet(more));
            else accumulator.unite(new GtidAccumulator(toGtidSet(more)));
            more.forEach((each) => expected.add(each));
          }
          accumulator.add(i % 3 === 0 ? one.toUpperCase() : one);
          expected.add(one);
        });
        expect(accumulator.toString()).toBe(toGtidSet(expected).toString());
        expect(accumulator.toSet().toString()).toBe(accumulator.toString());
      }),
    );
  });

  test('contains says what its set would say', () => {
    fc.assert(
      fc.property(model, model, (a, b) => {
        const accumulator = new GtidAccumulator(toGtidSet(a));
        expect(accumulator.contains(toGtidSet(b))).toBe(isSubset(b, a));
      }),
    );
  });

  test('a set taken from it, or given to it, does not change with it', () => {
    const given = GtidSet.parse(`${A}:1-3`);
    const accumulator = new GtidAccumulator(given);
    accumulator.add(`${A}:4`);
    const taken = accumulator.toSet();
    accumulator.add(`${A}:5`);
    accumulator.addAll(GtidSet.parse(`${B}:1`));
    accumulator.add(`${A}:6`);
    accumulator.add(`${B}:2`);
    expect(given.toString()).toBe(`${A}:1-3`);
    expect(taken.toString()).toBe(`${A}:1-4`);
    expect(accumulator.toString()).toBe(`${A}:1-6,${B}:1-2`);
  });

  test.each(['0', '9007199254740992', '18446744073709551615'])(
    'I7: the number %s is refused, never rounded',
    (number) => {
      const accumulator = new GtidAccumulator();
      for (const known of [1, 2]) accumulator.add(`${A}:${known}`);
      const code = expect.objectContaining({ code: 'DITTO_POSITION_GTID_INVALID' });
      expect(() => accumulator.add(`${A}:${number}`)).toThrow(code);
      expect(accumulator.toString()).toBe(`${A}:1-2`);
    },
  );

  test('a tag of the server seen last is not mistaken for it', () => {
    const accumulator = new GtidAccumulator();
    accumulator.add(`${A}:1`);
    accumulator.add(`${A}:blue:2`);
    accumulator.add(`${A}:blue:3`);
    accumulator.add(`${A}:2`);
    expect(accumulator.toString()).toBe(`${A}:1-2:blue:2-3`);
  });
});
