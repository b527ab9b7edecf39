import { expect, it } from '@jest/globals';
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

it('rejects with what waiting does not heal', async () => {
  const wait = open();
  const work = (): Promise<never> => Promise.reject(new DittoError('DITTO_TEST_DOWN', 'no', { retriable: true }));
  await expect(wait.until('asking failed', work, { signal, isRetriable: () => false })).rejects.toMatchObject({
    code: 'DITTO_TEST_DOWN',
  });
  expect(wait).toMatchObject({ because: null, retries: 0 });
});
