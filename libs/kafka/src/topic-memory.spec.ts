import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { formatVersion, READ_ROW_INDEX } from '#change-events';
import { DittoError } from '#kernel';

import { FakeTopics } from '../test/fake-topics.ts';
import { findOldestSurvivor } from './surviving-place.ts';
import { TopicMemory } from './topic-memory.ts';

const never = new AbortController().signal;
const UUIDS = ['3e11fa47-71ca-11e1-9e33-c80aa9429562', '81d7f2b1-0000-11e1-9e33-c80aa9429562:blue'];
/** MySQL's with and without a tag, MariaDB's. */
const ORIGINS = [...UUIDS.map((uuid) => `${uuid}:`), '0-1-'] as const;

/** One message of the log: a transaction of an origin at a place. */
interface Logged {
  readonly origin: string;
  readonly number: number;
  readonly offset: number;
  readonly kind: 'log' | 'read' | 'resync' | 'foreign';
}

const versionAt = (offset: number, parts: object = {}): string =>
  formatVersion({ lineage: 1, fileNumber: 1, offset, rowIndex: 0, readSequence: 0, ...parts });

function messageOf({ origin, number, offset, kind }: Logged): readonly [id: string, version: string] {
  if (kind === 'foreign') return ['', ''];
  if (kind === 'read')
    return [`${origin}${number}/0`, versionAt(offset, { rowIndex: READ_ROW_INDEX, readSequence: 9 })];
  return [`${origin}${number}/0`, versionAt(offset, kind === 'resync' ? { fileNumber: 0 } : {})];
}

const logged: fc.Arbitrary<Logged> = fc.record({
  origin: fc.constantFrom(...ORIGINS),
  number: fc.integer({ min: 1, max: 30 }),
  offset: fc.integer({ min: 1, max: 40 }),
  kind: fc.constantFrom('log', 'log', 'log', 'read', 'resync', 'foreign'),
});

/** The greatest of each origin above the place, by a reading of everything. */
function greatestAbove(all: readonly Logged[], version: string): Set<string> {
  const greatest = new Map<string, number>();
  for (const one of all)
    if (one.kind === 'log' && messageOf(one)[1] > version)
      greatest.set(one.origin, Math.max(greatest.get(one.origin) ?? 0, one.number));
  return new Set([...greatest].map(([origin, number]) => `${origin}${number}`));
}

describe('TopicMemory', () => {
  it('I7: knows the greatest GTID of each origin above a version, wherever in a partition it is', async () => {
    const places = fc.record({ topic: fc.constantFrom('s', 's.a.t', 's.b.u'), partition: fc.nat(2) });
    // of the last four batches of a partition any may be late
    const batches = fc.array(fc.record({ place: places, messages: fc.array(logged, { minLength: 1, maxLength: 4 }) }), {
      maxLength: 4,
    });
    await fc.assert(
      fc.asyncProperty(batches, fc.integer({ min: 0, max: 40 }), async (given, above) => {
        const topics = new FakeTopics();
        for (const { place, messages } of given)
          topics.append(place.topic, place.partition, ...messages.map((one) => messageOf(one)));
        topics.append('other.a.t', 0, [`${ORIGINS[0]}99/0`, versionAt(99)]);
        const memory = new TopicMemory({ reader: topics.reader, source: 's' });
        const found = await memory.gtidsAbove(versionAt(above), never);
        expect(new Set(found)).toEqual(
          greatestAbove(
            given.flatMap(({ messages }) => messages),
            versionAt(above),
          ),
        );
      }),
      { numRuns: 200 },
    );
  });

  it('I7: reads over three batches in a row that are old, however often; not over a whole topic', async () => {
    const topics = new FakeTopics();
    const old = (): void => topics.append('s.a.t', 0, [`${ORIGINS[0]}1/0`, versionAt(1)]);
    for (let batch = 0; batch < 1_000; batch++) old();
    for (const number of [7, 6, 5]) {
      topics.append('s.a.t', 0, [`${ORIGINS[0]}${number}/0`, versionAt(50 + number)]);
      for (let late = 0; late < 3; late++) old();
    }
    const memory = new TopicMemory({ reader: topics.reader, source: 's' });
    expect(await memory.gtidsAbove(versionAt(10), never)).toEqual([`${ORIGINS[0]}7`]);
    expect(topics.pages).toBeLessThan(12);
  });

  it('reads a partition again whose leader moves', async () => {
    const topics = new FakeTopics();
    topics.append('s.a.t', 0, [`${ORIGINS[0]}7/0`, versionAt(7)]);
    topics.failures.push(new DittoError('DITTO_KAFKA_UNAVAILABLE', 'moving', { retriable: true }));
    const memory = new TopicMemory({ reader: topics.reader, source: 's' });
    expect(await memory.gtidsAbove('', never)).toEqual([`${ORIGINS[0]}7`]);
  });

  it('I7: knows the newest lineage of all partitions, before messages of others', async () => {
    const topics = new FakeTopics();
    topics.append('s.a.t', 2, ['', versionAt(1, { lineage: 7 })], ['', versionAt(1, { lineage: 2 })]);
    topics.append('s.a.t', 2, ['', 'not a version']);
    topics.append('s.a.t', 0, ['', versionAt(1, { lineage: 3 })]);
    topics.append('s', 0, ['', versionAt(1, { lineage: 4 })]);
    topics.append('t.a.t', 0, ['', versionAt(1, { lineage: 9 })]);
    const memory = new TopicMemory({ reader: topics.reader, source: 's' });
    expect(await memory.newestLineage(never)).toBe(7);
    expect(await new TopicMemory({ reader: topics.reader, source: 'none' }).newestLineage(never)).toBe(0);
  });
});

describe('findOldestSurvivor', () => {
  const loss = (partition: number, survivingEnd: number) => ({
    topic: 's.a.t',
    partition,
    confirmedEnd: 9,
    survivingEnd,
  });

  it('I1: gives the place from before the loss that reaches back furthest', async () => {
    const topics = new FakeTopics();
    for (const offset of [10, 20, 30]) topics.append('s.a.t', 0, ['', versionAt(offset)], ['', versionAt(offset + 5)]);
    for (const offset of [12, 22]) topics.append('s.a.t', 1, ['', versionAt(offset)], ['', 'not a version']);
    // partition 0 has lost what was at offset 3 and after it: 25 was written there since
    expect(await findOldestSurvivor(topics.reader, [loss(0, 3)], never)).toBe(versionAt(20));
    expect(await findOldestSurvivor(topics.reader, [loss(0, 6), loss(1, 2)], never)).toBe(versionAt(12));
    expect(await findOldestSurvivor(topics.reader, [loss(1, 4), loss(0, 6)], never)).toBe(versionAt(22));
  });

  it('I1: gives none when a partition has nothing from before the loss', async () => {
    const topics = new FakeTopics();
    topics.append('s.a.t', 0, ['', versionAt(10)]);
    topics.append('s.a.t', 1, ['', 'not a version']);
    expect(await findOldestSurvivor(topics.reader, [loss(0, 1), loss(1, 1)], never)).toBeNull();
    expect(await findOldestSurvivor(topics.reader, [loss(0, 0)], never)).toBeNull();
  });

  it('I1: gives none when a topic was deleted', async () => {
    const topics = new FakeTopics();
    topics.append('s.a.t', 0, ['', versionAt(10)]);
    const deleted = { ...loss(0, 1), topic: 's.a.deleted' };
    expect(await findOldestSurvivor(topics.reader, [loss(0, 1), deleted], never)).toBeNull();
  });
});
