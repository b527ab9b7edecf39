import { describe, expect, it } from '@jest/globals';
import { jsCRC32C, Reader, readRecordsBatch } from '@platformatic/kafka';
import fc from 'fast-check';

import { type KafkaCompression, type KafkaRecord } from './kafka-client.ts';
import { encodeRecordBatch } from './record-batch.ts';

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

describe('encodeRecordBatch', () => {
  it('is read back by another implementation of the format', () => {
    fc.assert(
      fc.property(records, fc.constantFrom(...compressions), fc.nat(), (given, compression, baseSequence) => {
        const batch = encodeRecordBatch(given, {
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
});
