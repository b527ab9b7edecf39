import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { readVarint, varintBytes, varintLength, writeVarint } from './varint.ts';

/** Zigzag and groups of seven bits as the protocol defines them, in numbers without a limit. */
function encode(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = value >= 0n ? value * 2n : -value * 2n - 1n;
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.from([...bytes, Number(rest)]);
}

const bounds = [6, 13, 20, 27, 31].map((bits) => 2 ** bits);
const number = fc.oneof(
  fc.constantFrom(0, ...bounds.flatMap((bound) => [bound - 1, bound])).filter((value) => value < 2 ** 31),
  ...bounds.map((bound) => fc.nat(bound - 1)),
);

describe('varints', () => {
  it('are encoded as the protocol says, up to 2^31 - 1', () => {
    fc.assert(
      fc.property(number, fc.nat(9), (value, at) => {
        const target = Buffer.alloc(at + 6, 0xee);
        const end = writeVarint(target, at, value);
        expect(target.subarray(at, end)).toEqual(encode(BigInt(value)));
        expect(target[end]).toBe(0xee);
        expect([varintBytes(value), varintLength(target, at), readVarint(target, at)]).toEqual([
          end - at,
          end - at,
          value,
        ]);
      }),
      { numRuns: 500 },
    );
  });

  it('are read when they are negative, as the lengths of nulls are', () => {
    for (const value of [-1, -2, -64, -65, -(2 ** 31)]) expect(readVarint(encode(BigInt(value)), 0)).toBe(value);
  });
});
