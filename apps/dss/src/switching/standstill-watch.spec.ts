import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { silentLogger, Waits } from '#kernel';
import { type EndpointVitals } from '#mysql';
import { watchStandstill } from './standstill-watch.ts';

const stop = new AbortController();

afterEach(() => {
  jest.useRealTimers();
});

describe('the server that is streamed', () => {
  it('is waited for while it can show nothing new, and not while it does not answer', async () => {
    jest.useFakeTimers();
    const waits = new Waits({ limitMs: 10, logger: silentLogger, nowMs: Date.now });
    let answer: Partial<EndpointVitals> | Error = { kind: 'mysql', serverUuid: 'a', readOnly: false, replica: null };
    const probe = (): Promise<EndpointVitals> =>
      answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer as EndpointVitals);
    const options = { endpoint: 'db:3306', probe, waits, logger: silentLogger, everyMs: 1000 };
    const work = watchStandstill(options, stop.signal);
    const shown = async (): Promise<string | undefined> => {
      await jest.advanceTimersByTimeAsync(1100);
      return waits.overdue[0]?.what;
    };
    expect(await shown()).toBeUndefined();
    answer = { ...answer, readOnly: true };
    const reason = 'db:3306 to show changes again: server a accepts no writes and replicates from no server';
    expect(await shown()).toBe(reason);
    answer = new Error('gone');
    expect(await shown()).toBe(reason);
    answer = { kind: 'mysql', serverUuid: 'a', readOnly: false, replica: null };
    expect(await shown()).toBeUndefined();
    stop.abort();
    await work;
    expect(waits.overdue).toEqual([]);
  });
});
