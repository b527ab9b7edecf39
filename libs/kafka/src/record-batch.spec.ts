import { describe, expect, it } from '@jest/globals';
import { jsCRC32C, Reader, readRecordsBatch } from '@platformatic/kafka';
import fc from 'fast-check';

import { type KafkaCompression, type KafkaRecord } from './kafka-client.ts';
import { BufferPool } from './buffer-pool.ts';
import { batchOf, RecordBatch } from './record-batch.ts';

const pool = new BufferPool(1024 * 1024);

/** Around the lengths at which a varint takes one more byte, and beyond the first buffer of a batch. */
const length = fc.oneof(fc.constantFrom(0, 1, 63, 64, 8_191, 8_192), fc.nat(100), fc.nat(12_000));
const bytesOfLength = (lengths: fc.Arbitrary<number>): fc.Arbitrary<Buffer> =>
  fc
    .tuple(lengths, fc.nat(255))
    .map(([bytes, first]) => Buffer.from(Uint8Array.from({ length: bytes }, (_, i) => first + i)));
const content = fc.option(fc.oneof(fc.string({ unit: 'binary', maxLength: 80 }), bytesOfLength(length)));
const headers = fc.dictionary(fc.string({ minLength: 1, maxLength: 20 }), fc.string({ maxLength: 90 }), {
  maxKeys: 3,
  noNullPrototype: true,
});
/** Of any length, many that are short, or so many long ones that the first buffer is too small. */
const records: fc.Arbitrary<KafkaRecord[]> = fc.oneof(
  fc.array(fc.record({ key: content, value: content, headers }), { minLength: 1, maxLength: 20 }),
  fc.array(fc.record({ key: fc.constant('k'), value: fc.option(fc.string()), headers: fc.constant({}) }), {
    minLength: 1,
    maxLength: 150,
  }),
  fc.array(
    fc.record({
      key: content,
      value: bytesOfLength(fc.integer({ min: 8_000, max: 12_000 })),
      headers: fc.constant({}),
    }),
    { minLength: 9, maxLength: 12 },
  ),
);
const compressions: readonly KafkaCompression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];

/** Bytes as text: Jest compares long texts a thousand times faster than long buffers. */
function bytesOf(part: Uint8Array | string | null): string | null {
  return part === null ? null : Buffer.from(part as Uint8Array).toString('latin1');
}

describe('RecordBatch', () => {
  it('is read back by another implementation of the format', () => {
    let [mostRecords, mostBytes, longestValue] = [0, 0, 0];
    fc.assert(
      fc.property(records, fc.constantFrom(...compressions), fc.nat(), (given, compression, baseSequence) => {
        const open = batchOf(given);
        mostRecords = Math.max(mostRecords, given.length);
        mostBytes = Math.max(mostBytes, open.length);
        for (const { value } of given) longestValue = Math.max(longestValue, value?.length ?? 0);
        const batch = open.encode({
          producerId: 77n,
          producerEpoch: 3,
          baseSequence,
          compression,
          timestampMs: 1_700_000_000_000,
        });
        const read = readRecordsBatch(Reader.from(batch));
        expect(read).toMatchObject({
          producerId: 77n,
          producerEpoch: 3,
          firstSequence: baseSequence,
          magic: 2,
          length: batch.length - 12,
          lastOffsetDelta: given.length - 1,
        });
        expect(read.firstTimestamp).toBe(1_700_000_000_000n);
        expect(read.crc).toBe(jsCRC32C(batch.subarray(21)));
        expect(
          read.records.map((record) => ({
            offsetDelta: record.offsetDelta,
            key: bytesOf(record.key),
            value: bytesOf(record.value),
            headers: [...record.headers].map(([name, value]) => [String(name), String(value)]),
          })),
        ).toEqual(
          given.map((record, offsetDelta) => ({
            offsetDelta,
            key: bytesOf(record.key),
            value: bytesOf(record.value),
            headers: Object.entries(record.headers),
          })),
        );
      }),
      { numRuns: 80 },
    );
    // a varint of two bytes, of three, and a buffer that has grown
    expect([mostRecords > 64, longestValue > 8_191, mostBytes > 16 * 1024]).toEqual([true, true, true]);
  });

  const plain = (list: readonly KafkaRecord[]): unknown[] =>
    list.map(({ key, value, headers }) => ({ key: bytesOf(key), value: bytesOf(value), headers }));

  it('gives its records, and its halves hold them in order, each at least one', () => {
    fc.assert(
      fc.property(records, (given) => {
        const batch = batchOf(given);
        expect(plain(batch.records())).toEqual(plain(given));
        if (given.length === 1) return;
        const halves = batch.split();
        expect(halves.map(({ count }) => count)).not.toContain(0);
        expect(halves.flatMap((half) => plain(half.records()))).toEqual(plain(given));
      }),
      { numRuns: 60, examples: [[[{ key: null, value: null, headers: Object.fromEntries([['__proto__', '']]) }]]] },
    );
  });

  it('I1: the newest record moves to another batch with what it confirms', () => {
    const first = { acknowledge: () => undefined };
    const second = { acknowledge: () => undefined };
    fc.assert(
      fc.property(
        records,
        fc.array(fc.constantFrom(first, second, null), { minLength: 150, maxLength: 150 }),
        (given, confirms) => {
          const batch = new RecordBatch(pool);
          given.forEach((record, index) => batch.append(record, confirms[index] ?? null));
          const next = batchOf(given);
          batch.moveLastTo(next);
          expect(plain(batch.records())).toEqual(plain(given.slice(0, -1)));
          expect(plain(next.records())).toEqual(plain([...given, ...given.slice(-1)]));
          const total = (of: typeof first): number =>
            [batch, next].reduce(
              (sum, { runs }) => sum + runs.reduce((count, run) => count + (run.confirms === of ? run.count : 0), 0),
              0,
            );
          for (const one of [first, second])
            expect(total(one)).toBe(given.filter((_, index) => confirms[index] === one).length);
        },
      ),
      { numRuns: 60 },
    );
  });
});
