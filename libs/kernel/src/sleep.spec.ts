import { getEventListeners } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { sleep, withTimeout } from './sleep.ts';
import { isAbort } from './to-ditto-error.ts';

describe('sleep', () => {
  it('resolves and leaves no listener on the signal', async () => {
    const { signal } = new AbortController();
    await sleep(1, signal);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  it('rejects with the reason of its signal, aborted before or during the wait', async () => {
    const reason = new Error('shutdown');
    await expect(sleep(60_000, AbortSignal.abort(reason))).rejects.toBe(reason);
    const controller = new AbortController();
    const sleeping = sleep(60_000, controller.signal);
    controller.abort(reason);
    await expect(sleeping).rejects.toBe(reason);
  });

  it('rejects with an abort error when the reason is not an error', async () => {
    const error: unknown = await sleep(60_000, AbortSignal.abort('enough')).catch((caught: unknown) => caught);
    expect(isAbort(error)).toBe(true);
    expect(error).toHaveProperty('message', 'enough');
  });
});

describe('withTimeout', () => {
  it('passes on what comes in time', async () => {
    await expect(withTimeout(Promise.resolve(7), 60_000, () => new Error('late'))).resolves.toBe(7);
    await expect(withTimeout(Promise.reject(new Error('own')), 60_000, () => new Error('late'))).rejects.toThrow('own');
  });

  it('rejects with the given error when it is late', async () => {
    await expect(withTimeout(new Promise(() => undefined), 1, () => new Error('late'))).rejects.toThrow('late');
  });
});
