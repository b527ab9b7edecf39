import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { GtidSet, versionPrefix, type TransactionInfo } from '#change-events';
import { AcknowledgementTracker, type Slice, type TransactionEnd } from './acknowledgement-tracker.ts';

const SERVER = '11111111-1111-1111-1111-111111111111';

function transaction(number: number): TransactionInfo {
  const offset = number * 100;
  const file = 'binlog.000001';
  return {
    gtid: `${SERVER}:${number}`,
    serverId: 1,
    serverUuid: SERVER,
    file,
    offset,
    commitMicros: number,
    versionPrefix: versionPrefix(1, file, offset),
  };
}

function endAt(endOffset: number): TransactionEnd {
  return { file: 'binlog.000001', endOffset, digest: 'd' };
}

function trackerAtStart(onConfirmed: () => void = () => undefined): AcknowledgementTracker {
  const position = { gtidSet: '', file: '', offset: 0, serverUuid: SERVER };
  return new AcknowledgementTracker(
    { position, undecidedSet: '', version: '', commitMicros: 0, lastCovered: null },
    onConfirmed,
  );
}

describe('AcknowledgementTracker', () => {
  it('I1: the confirmed position never passes an unconfirmed change, and reaches the last end when all are confirmed', () => {
    // `isEarly`: a sink has nothing to do for the changes, and says so while more of the stretch is still to come
    const stretch = fc.record({ changes: fc.nat(4), ends: fc.boolean(), isEarly: fc.boolean() });
    const plan = fc.array(stretch, { minLength: 1, maxLength: 60, size: 'max' });
    fc.assert(
      fc.property(plan, fc.infiniteStream(fc.nat(1_000_000)), (stretches, random) => {
        const tracker = trackerAtStart();
        const open: { slice: Slice; number: number; pending: number }[] = [];
        let number = 1;
        for (const { changes, ends, isEarly } of stretches) {
          const slice = tracker.openSlice();
          slice.changes.expect(changes);
          if (isEarly) slice.changes.acknowledge(changes);
          open.push({ slice, number, pending: isEarly ? 0 : changes });
          if (ends) slice.endTransaction(transaction(number), null, endAt(++number * 100));
          slice.changes.close();
        }
        const last = number - 1;
        for (;;) {
          const waiting = open.filter(({ pending }) => pending > 0);
          const confirmed = tracker.confirmedPosition().position.gtidSet;
          const firstPending = waiting[0]?.number ?? Infinity;
          if (confirmed !== '') expect(Number(/(\d+)$/.exec(confirmed)?.[1])).toBeLessThan(firstPending);
          if (waiting.length === 0) break;
          const chosen = waiting[(random.next().value as number) % waiting.length] as (typeof waiting)[number];
          const count = 1 + ((random.next().value as number) % chosen.pending);
          chosen.pending -= count;
          chosen.slice.changes.acknowledge(count);
        }
        const whole = last === 0 ? '' : `${SERVER}:1${last > 1 ? `-${last}` : ''}`;
        expect(tracker.confirmedPosition().position.gtidSet).toBe(GtidSet.parse(whole).toString());
        expect(tracker.openSlices).toBe(0);
      }),
    );
  });

  it.each<[string, (number: number) => string]>([
    ['MySQL', (number) => `${SERVER}:${number}`],
    ['MariaDB', (number) => `0-1-${number}`],
  ])(
    'I8: on %s the undecided XA transactions are those that were prepared before the confirmed position and decided after it',
    (_, gtidOf) => {
      const step = fc.constantFrom('prepare', 'decide', 'commit', 'cut');
      fc.assert(
        fc.property(fc.array(step, { maxLength: 40 }), fc.infiniteStream(fc.nat(1_000_000)), (steps, random) => {
          const tracker = trackerAtStart();
          const slices: Slice[] = [];
          let slice = tracker.openSlice();
          slice.changes.expect(1);
          /** After each slice: all that the server has executed by then, and what of it is prepared only. */
          const places: { executed: string; open: readonly string[] }[] = [];
          const open: string[] = [];
          let executed = GtidSet.empty;
          const close = (): void => {
            slices.push(slice);
            places.push({ executed: executed.toString(), open: [...open] });
          };
          for (const [index, one] of steps.entries()) {
            const gtid = gtidOf(index + 1);
            if (one === 'cut') {
              close();
              slice = tracker.openSlice();
              slice.changes.expect(1);
              continue;
            }
            executed = executed.union(GtidSet.parse(gtid));
            if (one === 'prepare') {
              slice.prepare(gtid);
              open.push(gtid);
              continue;
            }
            const decided = one === 'decide' ? (open.shift() ?? null) : null;
            slice.endTransaction({ ...transaction(index + 1), gtid }, decided, endAt(index));
          }
          close();
          const unconfirmed = new Set(slices.keys());
          while (unconfirmed.size > 0) {
            const chosen = [...unconfirmed][(random.next().value as number) % unconfirmed.size] as number;
            unconfirmed.delete(chosen);
            const { changes } = slices[chosen] as Slice;
            changes.close();
            changes.acknowledge(1);
            const passed = Math.min(...unconfirmed, slices.length) - 1;
            const place = places[passed] ?? { executed: '', open: [] };
            const { position, undecidedSet } = tracker.confirmedPosition();
            const [confirmed, undecided] = [GtidSet.parse(position.gtidSet), GtidSet.parse(undecidedSet)];
            // together they are all that is executed up to there, and nothing more
            expect(confirmed.union(undecided).toString()).toBe(place.executed);
            const notConfirmed = place.open.filter((of) => !confirmed.contains(GtidSet.parse(of)));
            expect(notConfirmed.every((of) => undecided.contains(GtidSet.parse(of)))).toBe(true);
            expect(undecided.subtract(confirmed).toString()).toBe(undecidedSet);
          }
        }),
      );
    },
  );

  it('says when all that was open at a moment is confirmed, whatever came after', async () => {
    const tracker = trackerAtStart();
    await tracker.waitUntilConfirmed();
    const [first, second] = [tracker.openSlice(), tracker.openSlice()];
    for (const { changes } of [first, second]) changes.expect(1);
    const told: string[] = [];
    const waits = [tracker.waitUntilConfirmed().then(() => told.push('both'))];
    const third = tracker.openSlice();
    third.changes.expect(1);
    waits.push(tracker.waitUntilConfirmed().then(() => told.push('all')));
    const confirm = async (slice: Slice): Promise<readonly string[]> => {
      slice.changes.acknowledge(1);
      slice.changes.close();
      await new Promise((resolve) => setImmediate(resolve));
      return [...told];
    };
    expect(await confirm(second)).toEqual([]);
    expect(await confirm(first)).toEqual(['both']);
    expect(await confirm(third)).toEqual(['both', 'all']);
    await Promise.all(waits);
  });

  it('refuses an acknowledgement for more than was given', () => {
    const slice = trackerAtStart().openSlice();
    slice.changes.expect(1);
    slice.changes.acknowledge(1);
    expect(() => slice.changes.acknowledge(1)).toThrow('more changes than it was given');
  });

  it('reports once that a slice is confirmed, and keeps the end after its last transaction', () => {
    let confirmed = 0;
    const tracker = trackerAtStart(() => confirmed++);
    const slice = tracker.openSlice();
    slice.changes.expect(2);
    slice.endTransaction(transaction(7), null, endAt(799));
    slice.changes.close();
    slice.changes.acknowledge(1);
    expect(confirmed).toBe(0);
    slice.changes.acknowledge(1);
    expect(confirmed).toBe(1);
    expect(tracker.confirmedPosition()).toEqual({
      position: { gtidSet: `${SERVER}:7`, file: 'binlog.000001', offset: 799, serverUuid: SERVER },
      undecidedSet: '',
      version: `${versionPrefix(1, 'binlog.000001', 700)}ffffffffffffffff`,
      commitMicros: 7,
      lastCovered: {
        gtid: `${SERVER}:7`,
        serverUuid: SERVER,
        lineage: 1,
        file: 'binlog.000001',
        offset: 700,
        commitMicros: 7,
        digest: 'd',
      },
    });
  });

  it('I9: thousands of confirmed slices after an open one are passed once that is confirmed, and what follows too', () => {
    const tracker = trackerAtStart();
    const open = (number: number, changes: number): Slice => {
      const slice = tracker.openSlice();
      slice.changes.expect(changes);
      slice.endTransaction(transaction(number), number === 3000 ? `${SERVER}:9999` : null, endAt(number * 100 + 99));
      slice.changes.close();
      return slice;
    };
    const [first, middle] = [open(1, 1), [] as Slice[]];
    for (let number = 2; number <= 2500; number++) open(number, 0);
    middle.push(open(2501, 1));
    for (let number = 2502; number <= 5000; number++) open(number, 0);
    expect([tracker.openSlices, tracker.confirmedPosition().position.gtidSet]).toEqual([5000, '']);
    first.changes.acknowledge(1);
    expect([tracker.openSlices, tracker.confirmedPosition().position.gtidSet]).toEqual([2500, `${SERVER}:1-2500`]);
    middle[0]?.changes.acknowledge(1);
    expect([tracker.openSlices, tracker.confirmedPosition().position.gtidSet]).toEqual([0, `${SERVER}:1-5000:9999`]);
    open(5001, 0);
    expect(tracker.confirmedPosition().position.gtidSet).toBe(`${SERVER}:1-5001:9999`);
  });

  it('a stretch in which no transaction ended moves nothing', () => {
    const tracker = trackerAtStart();
    const whole = tracker.openSlice();
    whole.endTransaction(transaction(7), null, endAt(799));
    whole.changes.close();
    const before = tracker.confirmedPosition();
    tracker.openSlice().changes.close();
    expect(tracker.confirmedPosition()).toEqual(before);
  });
});
