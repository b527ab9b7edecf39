import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  type Checkpoint,
  checkpointRank,
  compareCheckpoints,
  coversChange,
  describeLogged,
  laterOf,
  type LoggedTransaction,
  mergeCheckpoints,
  type StoredCheckpoint,
} from './checkpoint.ts';
import { makeTransaction } from '../test/samples.ts';
import { GtidSet } from './gtid-set.ts';
import { transactionEndVersion, versionPrefix } from './version.ts';

const A = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const B = '81d7f2b1-0000-11e1-9e33-c80aa9429562';

const few = fc.integer({ min: 1, max: 3 });
const file = fc.constantFrom('binlog.000002', 'binlog.000010');
const gtidSet = fc
  .array(fc.tuple(fc.constantFrom(A, B), fc.integer({ min: 1, max: 9 })), { maxLength: 6 })
  .map((list) => GtidSet.parse(list.map(([uuid, number]) => `${uuid}:${number}`).join(',')).toString());
const logged: fc.Arbitrary<LoggedTransaction | null> = fc.option(
  fc.record({
    gtid: few.map((number) => `${A}:${number}`),
    serverUuid: fc.constantFrom(A, B),
    lineage: few,
    file,
    offset: few,
    commitMicros: few,
    digest: fc.constantFrom('', '00ff00ff'),
  }),
);
const stored: fc.Arbitrary<StoredCheckpoint> = fc
  .record({
    token: few,
    lineage: few,
    place: fc.option(fc.tuple(file, few)),
    covered: gtidSet,
    dispatchedSet: gtidSet,
    undecidedSet: gtidSet,
    lastCovered: logged,
    lastDispatched: logged,
    savedAtMs: few,
  })
  .map(({ token, lineage, place, covered, ...rest }) => ({
    token,
    checkpoint: {
      ...rest,
      source: 's',
      lineage,
      position: { gtidSet: covered, file: place?.[0] ?? '', offset: place?.[1] ?? 0, serverUuid: A },
      version: place === null ? '' : transactionEndVersion(versionPrefix(lineage, ...place)),
      commitMicros: 1,
    },
  }));

/** The order as it is meant, part by part. */
function isOlder(a: StoredCheckpoint, b: StoredCheckpoint): boolean {
  if (a.checkpoint.lineage !== b.checkpoint.lineage) return a.checkpoint.lineage < b.checkpoint.lineage;
  if (a.token !== b.token) return a.token < b.token;
  if (a.checkpoint.version !== b.checkpoint.version) return a.checkpoint.version < b.checkpoint.version;
  return a.checkpoint.savedAtMs < b.checkpoint.savedAtMs;
}

function merge(...copies: readonly (StoredCheckpoint | null)[]): StoredCheckpoint | null {
  return copies.reduce(mergeCheckpoints, null);
}

describe('the order of checkpoints', () => {
  test('I1: is a total preorder by lineage, token, version and time, and the rank as text is the same order', () => {
    fc.assert(
      fc.property(stored, stored, stored, (a, b, c) => {
        const order = Math.sign(compareCheckpoints(a, b));
        expect(order).toBe(isOlder(a, b) ? -1 : isOlder(b, a) ? 1 : 0);
        expect(Math.sign(compareCheckpoints(b, a)) + order).toBe(0);
        if (order <= 0 && compareCheckpoints(b, c) <= 0) expect(compareCheckpoints(a, c)).toBeLessThanOrEqual(0);
        const [left, right] = [a, b].map(({ token, checkpoint }) => checkpointRank(token, checkpoint)) as [
          string,
          string,
        ];
        expect(left < right ? -1 : left > right ? 1 : 0).toBe(order);
      }),
    );
  });

  test('a new lineage without a version is above every version of the one before, and below its own first', () => {
    const rank = (lineage: number, version: string): string => checkpointRank(7, { lineage, version, savedAtMs: 0 });
    expect(rank(2, '') > rank(1, 'f'.repeat(44))).toBe(true);
    const saved = (savedAtMs: number): string => checkpointRank(7, { lineage: 2, version: '', savedAtMs });
    expect([saved(9) < saved(10), saved(255) < saved(256)]).toEqual([true, true]);
    expect(rank(2, '') < rank(2, transactionEndVersion(versionPrefix(2, '', 0)))).toBe(true);
    expect(checkpointRank(2 ** 53 - 1, { lineage: 2 ** 32 - 1, version: '', savedAtMs: Date.now() })).toHaveLength(78);
  });
});

describe('laterOf', () => {
  const first: LoggedTransaction = {
    ...{ gtid: `${A}:9`, serverUuid: A, lineage: 1, file: 'binlog.999999', offset: 500, commitMicros: 7, digest: '' },
  };

  // from the part that decides least to the one that decides most; each has the others lower or equal
  test.each<[string, Partial<LoggedTransaction>]>([
    ['a digest, known at the end of the transaction', { digest: '00ff' }],
    ['a higher offset', { offset: 501 }],
    ['a later file, also beyond six digits', { file: 'binlog.1000000', offset: 4 }],
    ['a higher lineage', { lineage: 2, file: 'binlog.000001', offset: 4 }],
  ])('I7: %s is later', (_, parts) => {
    const later = { ...first, ...parts };
    const noisy = { ...first, digest: parts.digest === undefined ? 'ffff' : '' };
    expect([laterOf(noisy, later), laterOf(later, noisy)]).toEqual([later, later]);
    expect([laterOf(null, later), laterOf(later, null), laterOf(null, null)]).toEqual([later, later, null]);
  });

  test('I8: of two that differ in anything, one comes first in whatever order they are given', () => {
    const transaction = logged.filter((one) => one !== null);
    fc.assert(
      fc.property(transaction, fc.constantFrom('gtid', 'serverUuid', 'commitMicros'), (given, field) => {
        const other = { ...given, [field]: field === 'commitMicros' ? given.commitMicros + 1 : `${given[field]}0` };
        expect(laterOf(given, other)).toBe(laterOf(other, given));
      }),
    );
  });

  test('a transaction is described by where it was read, under its lineage', () => {
    const transaction = makeTransaction({ versionPrefix: versionPrefix(6, 'binlog.000007', 4711) });
    const { gtid, serverUuid, file: of, offset, commitMicros } = transaction;
    const place = { gtid, serverUuid, lineage: 6, file: of, offset, commitMicros };
    expect(describeLogged(transaction, '00ff')).toEqual({ ...place, digest: '00ff' });
    expect(describeLogged({ ...transaction, gtid: null }, '')).toBeNull();
  });
});

describe('mergeCheckpoints', () => {
  test('I7: gives the newest position with all that any copy knows to be dispatched, in whatever order copies come', () => {
    fc.assert(
      fc.property(stored, stored, stored, (a, b, c) => {
        const all = merge(a, b, c);
        expect(merge(c, a, b)).toEqual(all);
        expect(mergeCheckpoints(a, mergeCheckpoints(b, c))).toEqual(all);
        expect(merge(all, b, null)).toEqual(all);
        const { token, checkpoint } = all as StoredCheckpoint;
        for (const copy of [a, b, c]) {
          expect(compareCheckpoints(copy, { token, checkpoint })).toBeLessThanOrEqual(0);
          if (copy.checkpoint.lineage < checkpoint.lineage) continue;
          expect(contains(checkpoint, copy.checkpoint)).toBe(true);
          expect(laterOf(copy.checkpoint.lastDispatched, checkpoint.lastDispatched)).toEqual(checkpoint.lastDispatched);
        }
      }),
    );
  });
});

describe('coversChange', () => {
  const change = fc.record({ lineage: few, file, offset: few, number: fc.option(few) });

  test('I3: a change is covered by place within a lineage, and by its GTID across two', () => {
    fc.assert(
      fc.property(change, few, fc.tuple(file, few), gtidSet, ({ lineage, number, ...at }, of, place, set) => {
        const covered = GtidSet.parse(set);
        const gtid = number === null ? null : `${A}:${number}`;
        const version = transactionEndVersion(versionPrefix(lineage, at.file, at.offset));
        const checkpoint = { version: transactionEndVersion(versionPrefix(of, ...place)), covered };
        const isBelow = lineage < of || (lineage === of && version <= checkpoint.version);
        const isSettled = lineage === of || gtid === null || covered.containsGtid(gtid);
        expect(coversChange(checkpoint, { version, gtid })).toBe(isBelow && isSettled);
      }),
    );
  });

  test.each(['', 'no GTID', '0-1-7'])('what is no GTID of this kind of server is covered by nothing: "%s"', (gtid) => {
    const checkpoint = { version: transactionEndVersion(versionPrefix(2, '', 0)), covered: GtidSet.parse(`${A}:1-9`) };
    expect(coversChange(checkpoint, { version: transactionEndVersion(versionPrefix(1, '', 0)), gtid })).toBe(false);
  });
});

describe('copies of two lineages', () => {
  test('I7: what a resync gave up is not asked of the next server', () => {
    const [before, after] = [1, 2].map((lineage) => ({
      token: 1,
      checkpoint: {
        ...{
          source: 's',
          lineage,
          version: '',
          commitMicros: 0,
          lastCovered: null,
          lastDispatched: null,
          savedAtMs: 0,
        },
        position: { gtidSet: '', file: '', offset: 0, serverUuid: A },
        dispatchedSet: lineage === 1 ? `${A}:1-50` : '0-1-7',
      },
    })) as [StoredCheckpoint, StoredCheckpoint];
    expect(mergeCheckpoints(before, after)).toEqual(after);
    expect(mergeCheckpoints(after, before)).toEqual(after);
  });
});

function contains(outer: Checkpoint, inner: Checkpoint): boolean {
  return GtidSet.parse(outer.dispatchedSet).contains(GtidSet.parse(inner.dispatchedSet));
}
