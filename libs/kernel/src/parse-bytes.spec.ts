import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseBytes } from './parse-bytes.ts';

describe('parseBytes', () => {
  it.each([
    ['0', 0],
    ['4096', 4096],
    ['32 MiB', 33_554_432],
    ['1.5GiB', 1_610_612_736],
    ['500 kB', 500_000],
    ['7 b', 7],
  ])('reads %s', (text, bytes) => expect(parseBytes(text)).toBe(bytes));

  it.each(['', 'MiB', '-1', '1e3', '3 apples', '1,5 MiB', '99999999 TiB', '0x10'])('refuses %p', (text) =>
    expect(() => parseBytes(text)).toThrow(expect.objectContaining({ code: 'DITTO_KERNEL_BYTES_INVALID' })),
  );

  it('reads every whole number of bytes as itself', () => {
    fc.assert(fc.property(fc.maxSafeNat(), (bytes) => parseBytes(String(bytes)) === bytes));
  });
});
