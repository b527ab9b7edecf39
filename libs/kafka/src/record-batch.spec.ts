import { describe, expect, it } from '@jest/globals';
import { jsCRC32C, Reader, readRecordsBatch } from '@platformatic/kafka';
import fc from 'fast-check';

import { type KafkaCompression, type KafkaRecord } from './kafka-client.ts';
import { BufferPool } from './buffer-pool.ts';
import { batchOf, RecordBatch } from './record-batch.ts';

const pool = new BufferPool(1024 * 1024);

const content = fc.option(
  fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.uint8Array({ maxLength: 9_000 }).map((bytes) => Buffer.from(bytes)),
  ),
);
const records: fc.Arbitrary<KafkaRecord[]> = fc.array(
  fc.record({
    key: content,
    value: content,
    headers: fc.dictionary(fc.string({ minLength: 1, maxLength: 20 }), fc.string({ maxLength: 90 }), {
      noNullPrototype: true,
    }),
  }),
  { minLength: 1, maxLength: 150 },
);
const compressions: readonly KafkaCompression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];

function bytesOf(text: Buffer | string | null): Buffer | null {
  return typeof text === 'string' ? Buffer.from(text) : text;
}

describe('RecordBatch', () => {
  it('is read back by another implementation of the format', () => {
    fc.assert(
      fc.property(records, fc.constantFrom(...compressions), fc.nat(), (given, compression, baseSequence) => {
        const batch = batchOf(given).encode({
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
          read.records.map(({ offsetDelta, key, value, headers }) => ({ offsetDelta, key, value, headers })),
        ).toEqual(
          given.map((record, offsetDelta) => ({
            offsetDelta,
            key: bytesOf(record.key),
            value: bytesOf(record.value),
            headers: Object.entries(record.headers).map(([name, value]) => [Buffer.from(name), Buffer.from(value)]),
          })),
        );
      }),
      { numRuns: 60 },
    );
  });

  const plain = (list: readonly KafkaRecord[]): unknown[] =>
    list.map(({ key, value, headers }) => ({ key: bytesOf(key), value: bytesOf(value), headers }));

  it('tells its records, and its halves hold them in order, each at least one', () => {
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
