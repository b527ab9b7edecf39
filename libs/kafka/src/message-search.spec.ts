import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { formatVersion } from '#change-events';

import { MessageSearch, type SearchedMessages, type WantedMessage } from './message-search.ts';
import { type PartitionBounds, type StoredBatch, type TopicMessage, type TopicReader } from './topic-reader.ts';

const NOW = 1_800_000_000_000;
const OLD = NOW - 3_600_000;

interface Stored {
  readonly id: string;
  readonly version: string;
  readonly publishedMs: number;
  readonly isTombstone?: boolean;
}

const versionOf = (n: number, lineage = 1): string =>
  formatVersion({ lineage, fileNumber: 1, offset: n, rowIndex: 0, readSequence: 0 });
/** The message of the n-th change of the log. */
const message = (n: number, publishedMs = NOW): Stored => ({ id: `gtid:${n}`, version: versionOf(n), publishedMs });
const wanted = (n: number): WantedMessage => ({
  ...{ id: `gtid:${n}`, version: versionOf(n), partition: 0, committedMs: NOW },
});

/** One partition by offsets: null is an offset that is no message any more. Batches of three. */
class Partition {
  readonly reader: Pick<TopicReader, 'findBounds' | 'searchBackwards'>;

  constructor(stored: readonly (Stored | null)[], start = 0) {
    const bounds = { start, end: stored.length };
    const searchBackwards = (
      _topic: string,
      _partition: number,
      { end }: PartitionBounds,
      _signal: AbortSignal,
      pick: (message: TopicMessage) => unknown,
    ): AsyncGenerator<readonly StoredBatch<unknown>[], void> => readPages(stored, start, end, pick);
    this.reader = { findBounds: () => Promise.resolve(bounds), searchBackwards } as unknown as typeof this.reader;
  }

  find(ns: readonly number[], mostMessages = 1000): Promise<SearchedMessages<WantedMessage>> {
    const search = new MessageSearch({ reader: this.reader, mostMessages });
    return search.find('topic', ns.map(wanted), Infinity, new AbortController().signal);
  }
}

// eslint-disable-next-line @typescript-eslint/require-await -- as the reader gives them
async function* readPages(
  stored: readonly (Stored | null)[],
  start: number,
  end: number,
  pick: (message: TopicMessage) => unknown,
): AsyncGenerator<readonly StoredBatch<unknown>[], void> {
  for (let to = end; to > start; to -= 3) {
    const firstOffset = Math.max(start, to - 3);
    const messages = stored.slice(firstOffset, to).flatMap((one, i) => {
      if (one === null) return [];
      const headers = [
        [Buffer.from('ditto.id'), Buffer.from(one.id)],
        [Buffer.from('ditto.version'), Buffer.from(one.version)],
      ] as const;
      const value = one.isTombstone === true ? null : Buffer.from('{}');
      return [pick({ offset: firstOffset + i, publishedMs: one.publishedMs, key: null, value, headers }) ?? null];
    });
    yield [{ firstOffset, endOffset: to, messages }];
  }
}

const missingOf = ({ missing }: SearchedMessages<WantedMessage>): string[] => missing.map(({ id }) => id);

describe('MessageSearch', () => {
  it('finds what is there, and says what is missing between the messages before and after it', async () => {
    const partition = new Partition([message(1, OLD), message(2), message(4), message(5)]);
    const found = await partition.find([2, 3, 4]);
    expect([found.found, missingOf(found), found.unknown.size]).toEqual([2, ['gtid:3'], 0]);
  });

  it('says that the last of a partition are missing, and all of one that is empty', async () => {
    expect(missingOf(await new Partition([message(1, OLD), message(2)]).find([2, 3]))).toEqual(['gtid:3']);
    expect(missingOf(await new Partition([]).find([1]))).toEqual(['gtid:1']);
  });

  it('a delete of which only the tombstone is there is missing', async () => {
    const tombstone = { ...message(3), isTombstone: true };
    expect(missingOf(await new Partition([message(1, OLD), message(2), tombstone]).find([2, 3]))).toEqual(['gtid:3']);
    const whole = new Partition([message(1, OLD), message(2), message(3), tombstone]);
    expect(await whole.find([2, 3])).toMatchObject({ found: 2, missing: [] });
  });

  it.each<[what: string, stored: readonly (Stored | null)[], start: number, reason: string]>([
    ['compaction has left out an offset since', [message(1, OLD), null, message(4)], 0, 'compacted'],
    ['the marker of a transaction is there', [message(1, OLD), message(2), null, message(4)], 0, 'compacted'],
    ['compaction has left out the first offsets', [null, message(4)], 0, 'compacted'],
    ['the last offset is no message', [message(1, OLD), null], 0, 'compacted'],
    ['the beginning was removed', [message(1), message(4)], 1, 'forgotten'],
  ])('I8: nothing is said when %s', async (_what, stored, start, reason) => {
    const { found, missing, unknown } = await new Partition(stored, start).find([3]);
    expect([found, missing, [...unknown]]).toEqual([0, [], [[reason, 1]]]);
  });

  it('I8: a message with a lower version that was published since proves nothing', async () => {
    const again = new Partition([message(1, OLD), message(2), message(3), message(4), message(1)]);
    expect(await again.find([2, 3, 4])).toMatchObject({ found: 3, missing: [] });
    const compacted = new Partition([message(1, OLD), null, message(4), message(1)]);
    expect(missingOf(await compacted.find([3]))).toEqual([]);
  });

  it('I8: what reads have published, and messages of an earlier lineage, are not before a change', async () => {
    const read = { id: 'window/hash', version: `${versionOf(1).slice(0, 28)}ffffffff00000001`, publishedMs: OLD };
    const earlier = { id: 'old:9', version: versionOf(9, 0), publishedMs: OLD };
    for (const first of [read, earlier]) {
      const { missing } = await new Partition([message(1, OLD), message(3), first, message(4)]).find([3]);
      expect(missing).toEqual([]);
    }
  });

  it('I9: ends after so many messages', async () => {
    const stored = [message(1, OLD), ...Array.from({ length: 100 }, (_, i) => message(i + 10))];
    expect([...(await new Partition(stored).find([5], 20)).unknown]).toEqual([['too many messages', 1]]);
  });

  it('I8: random histories with repeats, compaction and copies by others raise no false alarm; a lost message is found where nothing else is', async () => {
    let seen = 0;
    const step = fc.record({ back: fc.nat(4), isRepeat: fc.integer({ min: 0, max: 5 }), copies: fc.nat(30) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 5, maxLength: 40 }),
        fc.array(fc.nat(60), { maxLength: 3 }),
        fc.option(fc.nat(30)),
        async (steps, compacted, lost) => {
          const history: Stored[] = [message(0, OLD)];
          let next = 1;
          let top = 1;
          for (const { back, isRepeat, copies } of steps) {
            if (isRepeat === 0) next = Math.max(1, next - back);
            history.push(message(next++));
            top = Math.max(top, next);
            if (copies === 0)
              history.push({ ...(history[Math.floor(history.length / 2)] as Stored), publishedMs: NOW });
          }
          while (next < top) history.push(message(next++));
          const lostId = lost === null ? null : `gtid:${1 + (lost % (top - 1))}`;
          const kept = history.filter(({ id }) => id !== lostId);
          const stored = kept.map((one, offset) => (compacted.includes(offset) ? null : one));
          const result = await new Partition(stored).find(Array.from({ length: top - 1 }, (_, i) => i + 1));
          const isWhole = stored.every((one) => one !== null);
          if (isWhole && lostId !== null) {
            seen++;
            expect(missingOf(result)).toEqual([lostId]);
          } else expect(missingOf(result).filter((id) => id !== lostId)).toEqual([]);
        },
      ),
      { numRuns: 400 },
    );
    expect(seen).toBeGreaterThan(20);
  });
});
