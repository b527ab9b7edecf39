import { describe, expect, it, jest } from '@jest/globals';
import { Deferred } from './deferred.ts';
import { silentLogger } from './logger.ts';
import { Waits } from './waits.ts';

function build(): { waits: Waits; lines: string[] } {
  const lines: string[] = [];
  const logger = {
    ...silentLogger,
    warn: (message: string, fields: object = {}) => void lines.push(`${message} ${JSON.stringify(fields)}`),
    info: (message: string) => void lines.push(message),
  };
  return { waits: new Waits({ limitMs: 1000, logger, nowMs: Date.now }), lines };
}

describe('Waits', () => {
  it('shows and logs a wait beyond the limit, once, with what it waits for at that time', async () => {
    jest.useFakeTimers({ now: 5000 });
    try {
      const { waits, lines } = build();
      const gate = new Deferred<string>();
      let missing = 3;
      const waiting = waits.during(() => `${missing} rows`, gate.promise);
      jest.advanceTimersByTime(999);
      expect([waits.overdue, lines]).toEqual([[], []]);
      missing = 2;
      jest.advanceTimersByTime(1);
      expect(lines).toEqual(['waiting for longer than usual {"waitingFor":"2 rows","sinceMs":5000}']);
      missing = 1;
      jest.advanceTimersByTime(60_000);
      expect(waits.overdue).toEqual([{ what: '1 rows', sinceMs: 5000 }]);
      expect(lines).toHaveLength(1);
      gate.resolve('done');
      expect(await waiting).toBe('done');
      expect(waits.overdue).toEqual([]);
      expect(lines).toEqual([expect.anything(), 'a wait is over']);
    } finally {
      jest.useRealTimers();
    }
  });

  it('says nothing of waits that end in time, however they end', async () => {
    const { waits, lines } = build();
    expect(await waits.during('a', Promise.resolve(7))).toBe(7);
    await expect(waits.during('b', Promise.reject(new Error('no')))).rejects.toThrow('no');
    waits.begin('c')();
    expect([waits.overdue, lines]).toEqual([[], []]);
  });
});
