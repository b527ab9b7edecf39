import { describe, expect, it } from '@jest/globals';
import { parseCpuMicros } from './process-usage.ts';

describe('parseCpuMicros', () => {
  it('adds user and system time, whatever the name of the program holds', () => {
    const stat = '123 (a (b) c) S 1 123 123 0 -1 4194560 5 0 0 0 250 50 0 0 20 0 11 0 100 1 1';
    expect(parseCpuMicros(stat)).toBe(3_000_000);
  });
});
