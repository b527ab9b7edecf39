import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { GtidAccumulator } from './gtid-accumulator.ts';
import { GtidSet } from './gtid-set.ts';

const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';

/** One strictly ordered log of each domain: its sequence numbers have gaps, and any server may have written each. */
const gtid = fc
  .tuple(fc.constantFrom(0, 1, 7, 4294967295), fc.integer({ min: 1, max: 40 }))
  .map(([domain, sequence]) => `${domain}-${1 + ((domain + sequence) % 3)}-${sequence}`);
const gtids = fc.array(gtid, { maxLength: 12 });

/** The naive model: the highest sequence number of each domain. */
function modelOf(list: readonly string[]): Map<string, number> {
  const model = new Map<string, number>();
  for (const one of list) {
    const [domain = '', , sequence] = one.split('-');
    model.set(domain, Math.max(model.get(domain) ?? 0, Number(sequence)));
  }
  return model;
}

function modelText(model: ReadonlyMap<string, number>): string {
  return [...model]
    .sort(([a], [b]) => Number(a) - Number(b))
    .map(([domain, sequence]) => `${domain}-${1 + ((Number(domain) + sequence) % 3)}-${sequence}`)
    .join(',');
}

function covers(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): boolean {
  return [...b].every(([domain, sequence]) => (a.get(domain) ?? 0) >= sequence);
}

describe('a GtidSet of MariaDB against the highest number of each domain', () => {
  test('text, equality and emptiness', () => {
    fc.assert(
      fc.property(gtids, (list) => {
        const set = GtidSet.parse(list.join(', '));
        expect(set.toString()).toBe(modelText(modelOf(list)));
        expect(GtidSet.parse(set.toString()).equals(set)).toBe(true);
        expect(GtidSet.parse([...list].reverse().join(',')).toString()).toBe(set.toString());
        expect(set.isEmpty).toBe(list.length === 0);
        expect(set.count()).toBe([...modelOf(list).values()].reduce((sum, one) => sum + BigInt(one), 0n));
      }),
    );
  });

  test('contains, union, subtract and intersect', () => {
    fc.assert(
      fc.property(gtids, gtids, (a, b) => {
        const [left, right] = [GtidSet.parse(a.join()), GtidSet.parse(b.join())];
        const [x, y] = [modelOf(a), modelOf(b)];
        expect(left.contains(right)).toBe(covers(x, y));
        expect(left.union(right).toString()).toBe(modelText(modelOf([...a, ...b])));
        const further = [...x].filter(([domain, sequence]) => sequence > (y.get(domain) ?? 0));
        expect(left.subtract(right).toString()).toBe(modelText(new Map(further)));
        expect(left.subtract(right).isEmpty).toBe(right.contains(left));
        const common = [...x].flatMap(([domain, sequence]): [string, number][] => {
          const other = y.get(domain);
          return other === undefined ? [] : [[domain, Math.min(sequence, other)]];
        });
        expect(left.intersect(right).toString()).toBe(modelText(new Map(common)));
      }),
    );
  });

  test('holds every GTID of a domain up to its end', () => {
    fc.assert(
      fc.property(gtids, gtid, (list, asked) => {
        const [domain = '', , sequence] = asked.split('-');
        expect(GtidSet.parse(list.join()).containsGtid(asked)).toBe(
          Number(sequence) <= (modelOf(list).get(domain) ?? 0),
        );
      }),
    );
  });

  test('an accumulator never goes back, in whatever order GTIDs come', () => {
    fc.assert(
      fc.property(gtids, gtids, gtids, (start, added, more) => {
        const accumulator = new GtidAccumulator(GtidSet.parse(start.join()));
        const seen = [...start];
        added.forEach((one, i) => {
          if (i === 5) {
            accumulator.addAll(GtidSet.parse(more.join()));
            seen.push(...more);
          }
          const before = accumulator.toSet();
          accumulator.add(one);
          seen.push(one);
          expect(accumulator.contains(before)).toBe(true);
          expect(accumulator.contains(GtidSet.parse(one))).toBe(true);
        });
        expect(accumulator.toString()).toBe(modelText(modelOf(seen)));
        expect(accumulator.toSet().toString()).toBe(accumulator.toString());
        expect(accumulator.contains(GtidSet.parse(more.join()))).toBe(covers(modelOf(seen), modelOf(more)));
      }),
    );
  });
});

describe('GTIDs of MariaDB', () => {
  test.each([
    ['0-1-100', '0-1-100'],
    [' 1-2-5,\n0-1-100 ', '0-1-100,1-2-5'],
    ['0-1-100,0-2-105', '0-2-105'],
    ['4294967295-4294967295-9007199254740991', '4294967295-4294967295-9007199254740991'],
  ])('%j is %j', (text, canonical) => {
    expect(GtidSet.parse(text).toString()).toBe(canonical);
  });

  test.each(['0-1', '0-1-', '0-1-2-3', '-1-2', '4294967296-1-1', '0-4294967296-1', '0-1-9007199254740992', '0-1-1:5'])(
    '%j is refused with a code',
    (text) => {
      const code = expect.objectContaining({ code: 'DITTO_POSITION_GTID_INVALID' });
      expect(() => GtidSet.parse(text)).toThrow(code);
      expect(() => new GtidAccumulator().add(text)).toThrow(code);
    },
  );

  test('of one number that two servers wrote, the higher server counts as later, in whatever order they come', () => {
    expect(GtidSet.parse('0-1-5,0-2-5').toString()).toBe('0-2-5');
    expect(GtidSet.parse('0-2-5,0-1-5').toString()).toBe('0-2-5');
    expect(GtidSet.parse('0-1-5').contains(GtidSet.parse('0-2-5'))).toBe(false);
    expect(GtidSet.parse('0-2-5').contains(GtidSet.parse('0-1-5'))).toBe(true);
  });

  test('a change of the server in a domain continues its sequence numbers', () => {
    const accumulator = new GtidAccumulator(GtidSet.parse('0-1-100'));
    accumulator.add('0-1-101');
    accumulator.add('0-2-102');
    accumulator.add('0-1-101');
    accumulator.add('0-2-103');
    expect(accumulator.toString()).toBe('0-2-103');
  });

  test('a set taken from an accumulator, or given to it, does not change with it', () => {
    const given = GtidSet.parse('0-1-3');
    const accumulator = new GtidAccumulator(given);
    accumulator.add('0-1-4');
    const taken = accumulator.toSet();
    accumulator.add('0-1-5');
    expect(given.toString()).toBe('0-1-3');
    expect(taken.toString()).toBe('0-1-4');
    expect(accumulator.toString()).toBe('0-1-5');
  });

  test('do not mix with those of MySQL', () => {
    const code = expect.objectContaining({ code: 'DITTO_POSITION_GTID_MIXED' });
    const [mysql, mariadb] = [GtidSet.parse(`${UUID}:1-5`), GtidSet.parse('0-1-5')];
    expect(() => GtidSet.parse(`${UUID}:1,0-1-5`)).toThrow(code);
    for (const [a, b] of [
      [mysql, mariadb],
      [mariadb, mysql],
    ] as const) {
      for (const action of ['contains', 'union', 'subtract', 'intersect'] as const)
        expect(() => a[action](b)).toThrow(code);
      expect(() => new GtidAccumulator(a).addAll(b)).toThrow(code);
      expect(() => new GtidAccumulator(a).contains(b)).toThrow(code);
      expect(a.equals(b)).toBe(false);
    }
    expect(() => mysql.containsGtid('0-1-5')).toThrow(code);
    expect(() => mariadb.containsGtid(`${UUID}:1`)).toThrow(code);
    expect(() => new GtidAccumulator(mysql).add('0-1-5')).toThrow(code);
    expect(() => new GtidAccumulator(mariadb).add(`${UUID}:1`)).toThrow(code);
  });

  test('the empty set goes with either', () => {
    const mariadb = GtidSet.parse('0-1-5');
    expect(mariadb.contains(GtidSet.empty)).toBe(true);
    expect(GtidSet.empty.contains(mariadb)).toBe(false);
    expect(GtidSet.empty.union(mariadb).toString()).toBe('0-1-5');
    expect(mariadb.subtract(GtidSet.empty).toString()).toBe('0-1-5');
  });
});
