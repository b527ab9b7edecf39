import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { silentLogger } from '#kernel';
import { LimitedLog } from './limited-log.ts';

describe('LimitedLog', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  it('writes the first line at once, then at most one in each period, with how many it was', () => {
    const warn = jest.fn();
    const log = new LimitedLog({ logger: { ...silentLogger, warn }, everyMs: 1000 });
    for (let n = 0; n < 5_000; n++) log.warn('refused', { n });
    expect(warn.mock.calls).toEqual([['refused', { n: 0 }]]);
    jest.advanceTimersByTime(1000);
    expect(warn.mock.calls.slice(1)).toEqual([['refused', { n: 4_999, times: 4_999 }]]);
    log.warn('refused', { n: 5_000 });
    expect(warn).toHaveBeenCalledTimes(2);
    jest.advanceTimersByTime(1000);
    expect(warn).toHaveBeenLastCalledWith('refused', { n: 5_000, times: 1 });
    jest.advanceTimersByTime(10_000);
    expect(warn).toHaveBeenCalledTimes(3);
    log.warn('refused', { n: 5_001 });
    expect(warn).toHaveBeenLastCalledWith('refused', { n: 5_001 });
  });
});
