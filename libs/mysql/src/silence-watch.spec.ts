import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { type SessionState, watchForSilence } from './silence-watch.ts';

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

/** A session that the server says this of, one answer after the other, the last one again and again. */
function watch(...states: readonly SessionState[]) {
  let asked = 0;
  const session = { bytes: 0, asked: () => asked, deadAfterMs: null as number | null };
  const startedAtMs = performance.now();
  const end = watchForSilence({
    silenceMs: 1000,
    bytesRead: () => session.bytes,
    ask: () => Promise.resolve(states[Math.min(asked++, states.length - 1)] ?? 'unknown'),
    onDead: () => (session.deadAfterMs = performance.now() - startedAtMs),
  });
  return { session, end };
}

describe('watchForSilence', () => {
  test('lets a query be silent for as long as the server works on it', async () => {
    const { session, end } = watch('working');
    await jest.advanceTimersByTimeAsync(3_600_000);
    expect(session).toMatchObject({ deadAfterMs: null });
    expect(session.asked()).toBe(3600);
    end();
  });

  test('finds a session dead at the second look', async () => {
    const { session } = watch('dead');
    await jest.advanceTimersByTimeAsync(1000);
    expect(session.deadAfterMs).toBeNull();
    await jest.advanceTimersByTimeAsync(250);
    expect(session.deadAfterMs).toBe(1250);
    await jest.advanceTimersByTimeAsync(10_000);
    expect(session.asked()).toBe(2);
  });

  test('asks nothing while bytes come, and believes them more than the server', async () => {
    const { session, end } = watch('dead');
    for (let i = 0; i < 20; i++) {
      session.bytes++;
      await jest.advanceTimersByTimeAsync(1000);
    }
    expect(session.asked()).toBe(0);
    await jest.advanceTimersByTimeAsync(1000);
    session.bytes++;
    await jest.advanceTimersByTimeAsync(1000);
    expect(session).toMatchObject({ deadAfterMs: null });
    end();
  });

  test('a look at a session that works takes the doubt away', async () => {
    const { session, end } = watch('dead', 'working', 'dead', 'working');
    await jest.advanceTimersByTimeAsync(60_000);
    expect(session.deadAfterMs).toBeNull();
    end();
  });

  test('waits long, not for ever, where nothing can be found out', async () => {
    const { session } = watch('unknown');
    await jest.advanceTimersByTimeAsync(30_000);
    expect(session.deadAfterMs).toBeNull();
    await jest.advanceTimersByTimeAsync(2_000);
    expect(session.deadAfterMs).toBe(31_000);
  });

  test('is over when it is ended', async () => {
    const { session, end } = watch('dead');
    await jest.advanceTimersByTimeAsync(1100);
    end();
    await jest.advanceTimersByTimeAsync(60_000);
    expect(session).toMatchObject({ deadAfterMs: null });
  });
});
