import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type RowImages, type TableLayout, ValueImages } from '#change-events';
import { DittoError } from '#kernel';
import { type SourceItem } from '#replication';
import { NO_CHARACTER } from '../values/character-table.ts';
import { columnRules } from '../layout/column-choice.ts';
import { type CharacterSetFacts } from '../values/charset.ts';
import { EventType, HEADER_BYTES } from './event-header.ts';
import { BatchQueue } from './batch-queue.ts';
import { EventFeed } from './event-feed.ts';
import { EventReader } from './event-reader.ts';
import { TableCache } from './table-cache.ts';

/** Events of MySQL 9.7 as its dump sent them: every type of column, every kind of event (test/record-events.ts). */
const EVENTS = readFileSync(join(import.meta.dirname, '../../test/recorded-events.txt'), 'latin1')
  .trimEnd()
  .split('\n')
  .map((line) => Buffer.from(line, 'hex'));
const CHECKSUM_BYTES = 4;
/** Far more than reading twenty events takes; what a damaged length must not exceed. */
const MOST_MILLISECONDS = 5_000;
const RUNS = process.env['DITTO_TEST_LONG'] === '1' ? 100_000 : 1_000;
const TIMEOUT_MS = 3_600_000;

const latin1 = {
  one: Uint16Array.from({ length: 256 }, (_, i) => (i === 0x81 ? NO_CHARACTER : i)),
  two: null,
  three: null,
  four: null,
};
const facts: CharacterSetFacts = {
  charsetOfCollation: new Map([
    [8, 'latin1'],
    [54, 'utf16'],
    [63, 'binary'],
    [255, 'utf8mb4'],
  ]),
  maxLength: new Map([
    ['latin1', 1],
    ['utf16', 4],
    ['utf8mb4', 4],
  ]),
  tables: new Map([['latin1', { table: latin1, keyTable: latin1 }]]),
};
const includes = (database: string, table: string): boolean => database === 'fuzz' && table !== 'other';

interface Reading {
  readonly items: SourceItem[];
  readonly error: unknown;
}

/** Reads the events to the first error. */
async function readAll(events: readonly Buffer[]): Promise<Reading> {
  const items: SourceItem[] = [];
  const reader = new EventReader({
    tables: new TableCache({ includes, facts, kind: 'mysql', rules: columnRules({}) }),
    characterSets: facts,
    includes,
    serverUuid: '',
    emit: (item) => {
      items.push(item);
    },
  });
  const nothing = (): void => undefined;
  let error: unknown = null;
  const gate: { waiting: PromiseWithResolvers<undefined> | null } = { waiting: null };
  const feed = new EventFeed({
    reader,
    queue: new BatchQueue({ maxBytes: Number.MAX_SAFE_INTEGER, onFull: nothing, onRoom: nothing }),
    pause: () => {
      gate.waiting = Promise.withResolvers();
    },
    resume: () => gate.waiting?.resolve(undefined),
    onError: (reason) => gate.waiting?.reject(reason),
  });
  feed.start(true);
  try {
    for (const bytes of events) {
      feed.take(bytes, 0, bytes.length);
      await gate.waiting?.promise;
      gate.waiting = null;
    }
  } catch (reason) {
    error = reason;
  }
  feed.close();
  return { items, error };
}

type RowsItem = Extract<SourceItem, { type: 'rows' }>;

function rowItems(items: readonly SourceItem[]): RowsItem[] {
  return items.flatMap((item) => (item.type === 'rows' ? [item] : []));
}

/** What an image is as JSON written from its bytes, and from its values; the code where it can't be decoded. */
function jsonOf(
  images: RowImages,
  index: number,
  write: (from: RowImages, i: number, target: Buffer) => number,
): string {
  try {
    const target = Buffer.alloc(images.jsonBound(index, 'number'));
    return target.toString('utf8', 0, write(images, index, target));
  } catch (error) {
    expect(error).toBeInstanceOf(DittoError);
    return (error as DittoError).code;
  }
}

function valuesOf(layout: TableLayout, images: RowImages, index: number): RowImages | string {
  try {
    return new ValueImages(layout, [images.row(index)]);
  } catch (error) {
    expect(error).toBeInstanceOf(DittoError);
    expect(error).toMatchObject({ context: { file: expect.any(String), table: layout.table } });
    return (error as DittoError).code;
  }
}

/** Asks for everything that a sink may ask for; returns how many images are whole. */
function useRows({ layout, before, after }: RowsItem): number {
  let whole = 0;
  for (const images of [before, after])
    for (let i = 0; i < (images?.count ?? 0); i++) {
      const values = valuesOf(layout, images as RowImages, i);
      const written = jsonOf(images as RowImages, i, (from, index, target) =>
        from.writeJson(index, target, 0, 'number'),
      );
      if (typeof values === 'string') expect(written).toBe(values);
      else expect(written).toBe(jsonOf(values, 0, (from, index, target) => from.writeJson(index, target, 0, 'number')));
      if (layout.key.length > 0)
        jsonOf(images as RowImages, i, (from, index, target) => from.writeKey(index, target, 0, 'number'));
      if (written.startsWith('{')) whole++;
    }
  return whole;
}

test('the events as they were recorded', async () => {
  const { items, error } = await readAll(EVENTS);
  expect(error).toBeNull();
  const rows = rowItems(items);
  expect(rows.map(({ layout, op, before, after }) => `${op} ${(after ?? before)?.count} ${layout.table}`))
    .toMatchInlineSnapshot(`
   [
     "create 2 numbers",
     "update 2 numbers",
     "delete 1 numbers",
     "create 2 times",
     "update 1 times",
     "create 3 texts",
     "update 3 texts",
     "create 2 bytes",
     "update 2 bytes",
     "create 1 numbers",
     "create 1 times",
     "delete 1 numbers",
     "delete 1 times",
     "create 1 numbers",
     "create 1 numbers",
     "create 1 numbers",
     "create 1 times",
     "update 2 bytes",
     "update 2 bytes",
     "update 2 bytes",
     "create 4 numbers",
     "update 1 texts",
   ]
  `);
  for (const item of rows) expect(useRows(item)).toBe((item.before?.count ?? 0) + (item.after?.count ?? 0));
});

/** An event with other bytes than before, or with less or more of them. */
type Damage = (event: Buffer) => Buffer;

const anyDamage: fc.Arbitrary<Damage> = fc.oneof(
  fc
    .array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 6 })
    .map((changes) => (event: Buffer) => {
      const damaged = Buffer.from(event);
      for (const [at, bits] of changes) damaged[at % damaged.length] = (damaged[at % damaged.length] ?? 0) ^ bits;
      return damaged;
    }),
  fc.nat().map((at) => (event: Buffer) => event.subarray(0, at % event.length)),
  fc.tuple(fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 40 })).map(([at, more]) => (event: Buffer) => {
    const place = at % event.length;
    return Buffer.concat([event.subarray(0, place), more, event.subarray(place)]);
  }),
  fc.tuple(fc.nat(), fc.nat(), fc.integer({ min: 1, max: 30 })).map(([from, to, length]) => (event: Buffer) => {
    const damaged = Buffer.from(event);
    event.copy(damaged, to % event.length, from % event.length, (from % event.length) + length);
    return damaged;
  }),
);

/** Damage of one place: four bytes that count, point or bound something become extreme. */
const extremes: fc.Arbitrary<Damage> = fc
  .tuple(fc.nat(), fc.constantFrom(1, 2, 4, 8), fc.constantFrom(0x00, 0x7f, 0x80, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff))
  .map(([at, length, byte]) => (event: Buffer) => {
    const damaged = Buffer.from(event);
    const from = HEADER_BYTES + (at % (event.length - HEADER_BYTES));
    return damaged.fill(byte, from, Math.min(from + length, damaged.length));
  });

const someEvent = fc.integer({ min: 0, max: EVENTS.length - 1 });

/** Index of the event that the transaction of each event begins with; what is outside any counts as one. */
const BEGINS = EVENTS.map((_, index) => {
  for (let i = index; i > 0; i--)
    if (EVENTS[i]?.[4] === EventType.gtid || EVENTS[i]?.[4] === EventType.gtidTagged) return i;
  return 0;
});
const PROLOGUE = BEGINS.lastIndexOf(0) + 1;

/** What comes before the event in its transaction, the event, and what follows it to the end of the next transactions. */
async function readAround(index: number, event: Buffer): Promise<Reading & { readonly rowItemsBefore: number }> {
  const begin = BEGINS[index] as number;
  const head = [...(begin === 0 ? [] : EVENTS.slice(0, PROLOGUE)), ...EVENTS.slice(begin, index)];
  const began = performance.now();
  const reading = await readAll([...head, event, ...EVENTS.slice(index + 1, index + 20)]);
  expect(performance.now() - began).toBeLessThan(MOST_MILLISECONDS);
  return { ...reading, rowItemsBefore: rowItems((await readAll(head)).items).length };
}

describe('I6: with checksums', () => {
  test(
    'no damaged event is read',
    async () => {
      await fc.assert(
        fc.asyncProperty(someEvent, fc.oneof(anyDamage, extremes), async (index, damage) => {
          const event = damage(EVENTS[index] as Buffer);
          fc.pre(!event.equals(EVENTS[index] as Buffer));
          const { items, error, rowItemsBefore } = await readAround(index, event);
          expect(error).toBeInstanceOf(DittoError);
          expect(['DITTO_SOURCE_CHECKSUM_MISMATCH', 'DITTO_SOURCE_EVENT_MALFORMED']).toContain(
            (error as DittoError).code,
          );
          // not a row more than what came before it
          expect(rowItems(items)).toHaveLength(rowItemsBefore);
        }),
        { numRuns: RUNS },
      );
    },
    TIMEOUT_MS,
  );

  test('no event passes as a format description, which would switch them off', async () => {
    for (const [index, original] of EVENTS.entries()) {
      if (original[4] === EventType.formatDescription) continue;
      for (const algorithm of [0, 1, 255]) {
        const event = Buffer.from(original);
        event[4] = EventType.formatDescription;
        event[event.length - CHECKSUM_BYTES - 1] = algorithm;
        expect((await readAround(index, event)).error).toMatchObject({ code: 'DITTO_SOURCE_EVENT_MALFORMED' });
      }
    }
  });
});

/** With the checksum that belongs to the bytes: as a server would send it whose memory is damaged. */
function sealed(event: Buffer): Buffer {
  if (event.length < CHECKSUM_BYTES) return event;
  const copy = Buffer.from(event);
  copy.writeUInt32LE(crc32(copy.subarray(0, -CHECKSUM_BYTES)), copy.length - CHECKSUM_BYTES);
  return copy;
}

function checkReading({ items, error }: Reading): void {
  if (error !== null) {
    expect(error).toBeInstanceOf(DittoError);
    expect((error as DittoError).code).toMatch(/^DITTO_SOURCE_/);
    expect(error).toMatchObject({ context: { file: expect.any(String) } });
  }
  for (const item of rowItems(items)) useRows(item);
}

describe('damage that no checksum shows ends in a value or in an error with a code and a place', () => {
  test(
    'in one event',
    async () => {
      await fc.assert(
        fc.asyncProperty(someEvent, fc.oneof(anyDamage, extremes), async (index, damage) => {
          checkReading(await readAround(index, sealed(damage(EVENTS[index] as Buffer))));
        }),
        { numRuns: RUNS },
      );
    },
    TIMEOUT_MS,
  );

  test(
    'in table maps, which decide about everything after them',
    async () => {
      const maps = [...EVENTS.keys()].filter((index) => EVENTS[index]?.[4] === EventType.tableMap);
      await fc.assert(
        fc.asyncProperty(fc.constantFrom(...maps), fc.oneof(anyDamage, extremes), async (index, damage) => {
          checkReading(await readAround(index, sealed(damage(EVENTS[index] as Buffer))));
        }),
        { numRuns: RUNS },
      );
    },
    TIMEOUT_MS,
  );

  test(
    'in the order of events',
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(someEvent, { minLength: 1, maxLength: 5 }), fc.nat(2), async (places, kind) => {
          const events = [...EVENTS];
          for (const place of places) {
            const [event] = events.slice(place, place + 1);
            if (event === undefined) continue;
            if (kind === 0) events.splice(place, 1);
            else if (kind === 1) events.splice((place * 7) % events.length, 0, event);
            else events.splice(place, 2, ...events.slice(place, place + 2).reverse());
          }
          checkReading(await readAll(events));
        }),
        { numRuns: Math.ceil(RUNS / 10) },
      );
    },
    TIMEOUT_MS,
  );
});
