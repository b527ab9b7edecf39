import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { murmur2, partitionForKey } from './partition.ts';

describe('murmur2', () => {
  // From org.apache.kafka.common.utils.UtilsTest.testMurmur2.
  test.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])('%j hashes as in Java', (text, hash) => {
    expect(murmur2(Buffer.from(text))).toBe(hash);
  });

  test('bytes above 127 are taken as they are, not as signed', () => {
    // The definition in 64-bit arithmetic, byte by byte, as a second opinion.
    const slow = (data: Uint8Array): number => {
      const m = 0x5bd1e995n;
      const low = (n: bigint): bigint => BigInt.asUintN(32, n);
      let h = low(0x9747b28cn ^ BigInt(data.length));
      const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
      const words = data.length >> 2;
      for (let i = 0; i < words; i++) {
        let k = low(BigInt(view.getUint32(i * 4, true)) * m);
        k = low((k ^ (k >> 24n)) * m);
        h = low(h * m) ^ k;
      }
      const rest = [...data.subarray(words * 4)].reduce((sum, byte, i) => sum | (BigInt(byte) << BigInt(8 * i)), 0n);
      if (data.length % 4 !== 0) h = low((h ^ rest) * m);
      h = low((h ^ (h >> 13n)) * m);
      return Number(BigInt.asIntN(32, h ^ (h >> 15n)));
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 70 }), (data) => expect(murmur2(data)).toBe(slow(data.slice()))));
  });

  test('a partition is one of those that exist', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.integer({ min: 1, max: 1000 }), (data, partitions) => {
        const partition = partitionForKey(data, partitions);
        expect(Number.isInteger(partition) && partition >= 0 && partition < partitions).toBe(true);
        // a key at the beginning of a longer buffer
        const longer = Buffer.concat([data, Buffer.from('behind')]);
        expect(partitionForKey(longer, partitions, data.length)).toBe(partition);
      }),
    );
    expect(partitionForKey(Buffer.from('21'), 1000)).toBe((-973932308 & 0x7fffffff) % 1000);
  });
});
