import { beforeEach, describe, expect, test } from '@jest/globals';
import { LogOffset } from './log-offset.ts';

const GIB_4 = 2 ** 32;
let log: LogOffset;

beforeEach(() => {
  log = new LogOffset();
});

describe('LogOffset', () => {
  test('follows 32 bits of an offset over any number of wraps', () => {
    for (let end = 1000; end < 4 * GIB_4; end += 900_000_000) {
      log.advance(end % GIB_4, 900_000_000);
      expect(log.end).toBe(end);
    }
  });

  test('an event that ends at a multiple of 4 GiB is in the file although its header says 0', () => {
    log.reset(2 * GIB_4 - 100);
    log.advance(0, 100);
    expect(log.end).toBe(2 * GIB_4);
    log.advance(70, 70);
    expect(log.end).toBe(2 * GIB_4 + 70);
  });

  test('an event that is in no file moves nothing', () => {
    log.reset(2 * GIB_4 - 100);
    log.advance(0, 99);
    expect(log.end).toBe(2 * GIB_4 - 100);
  });
});
