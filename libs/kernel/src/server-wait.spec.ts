import { expect, it } from '@jest/globals';
import { Deferred } from './deferred.ts';
import { DittoError } from './ditto-error.ts';
import { silentLogger } from './logger.ts';
import { ServerWait } from './server-wait.ts';

const signal = new AbortController().signal;
const open = (): ServerWait => new ServerWait({ backoff: { initialMs: 0, maxMs: 0 }, logger: silentLogger });

it('says why it waits, until the work is done', async () => {
  const wait = open();
  const reasons: (string | null)[] = [];
  const result = await wait.until(
    'asking failed',
    () => {
      const count = reasons.push(wait.because);
      const error = new DittoError('DITTO_TEST_DOWN', `attempt ${count}`, { retriable: true });
      return count < 3 ? Promise.reject(error) : Promise.resolve('ok');
    },
    { signal },
  );
  expect(result).toBe('ok');
  expect(reasons).toEqual([null, 'DITTO_TEST_DOWN: attempt 1', 'DITTO_TEST_DOWN: attempt 2']);
  expect(wait).toMatchObject({ because: null, retries: 2 });
});

it('says what the newest of several calls waits for, whichever of the others succeed', async () => {
  const wait = open();
  const calls = ['first', 'second', 'third'].map((name) => {
    const gate = new Deferred<undefined>();
    let attempts = 0;
    const work = (): Promise<unknown> =>
      attempts++ > 0 ? gate.promise : Promise.reject(new DittoError('DITTO_TEST_DOWN', name, { retriable: true }));
    return { gate, done: wait.until('asking failed', work, { signal }) };
  });
  const [first, second, third] = calls as [(typeof calls)[0], (typeof calls)[0], (typeof calls)[0]];
  while (wait.retries < calls.length) await new Promise((resolve) => setImmediate(resolve));
  expect(wait.because).toBe('DITTO_TEST_DOWN: third');
  second.gate.resolve(undefined);
  await second.done;
  expect(wait.because).toBe('DITTO_TEST_DOWN: third');
  third.gate.resolve(undefined);
  await third.done;
  expect(wait.because).toBe('DITTO_TEST_DOWN: first');
  first.gate.reject(new DittoError('DITTO_TEST_REFUSED', 'no'));
  await expect(first.done).rejects.toMatchObject({ code: 'DITTO_TEST_REFUSED' });
  expect(wait.because).toBeNull();
});

it('rejects with what waiting does not heal', async () => {
  const wait = open();
  const work = (): Promise<never> => Promise.reject(new DittoError('DITTO_TEST_DOWN', 'no', { retriable: true }));
  await expect(wait.until('asking failed', work, { signal, isRetriable: () => false })).rejects.toMatchObject({
    code: 'DITTO_TEST_DOWN',
  });
  expect(wait).toMatchObject({ because: null, retries: 0 });
});
