import { crc32 } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { eventChecksum } from './checksum.ts';

describe('eventChecksum', () => {
  test('is the CRC-32 of zlib, for any part of any bytes', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 600 }),
        fc.nat({ max: 600 }),
        fc.nat({ max: 600 }),
        (array, first, second) => {
          const bytes = Buffer.from(array);
          const [start, end] = [Math.min(first, second, bytes.length), Math.min(Math.max(first, second), bytes.length)];
          expect(eventChecksum(bytes, start, end)).toBe(crc32(bytes.subarray(start, end)));
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('at every length around the change of method', () => {
    const bytes = Buffer.from(Array.from({ length: 320 }, (_, index) => (index * 151) ^ (index >>> 3)));
    for (let end = 0; end <= bytes.length; end++) {
      expect([end, eventChecksum(bytes, 3, Math.max(3, end))]).toEqual([
        end,
        crc32(bytes.subarray(3, Math.max(3, end))),
      ]);
    }
  });

  test('knows the check value of the algorithm', () => {
    expect(eventChecksum(Buffer.from('123456789'), 0, 9)).toBe(0xcbf43926);
  });
});
