import { describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { DittoError } from './ditto-error.ts';
import { type Logger, silentLogger } from './logger.ts';
import { Backoff, retry } from './retry.ts';

const retriable = () => new DittoError('DITTO_TEST_BUSY', 'busy', { retriable: true });
const quick = () => new Backoff({ initialMs: 1, maxMs: 2 });

describe('Backoff', () => {
  it('grows by its factor up to the limit and starts again after a reset', () => {
    const backoff = new Backoff({ initialMs: 100, maxMs: 1000, factor: 3, jitter: 0 });
    expect([backoff.nextMs(), backoff.nextMs(), backoff.nextMs(), backoff.nextMs()]).toEqual([100, 300, 900, 1000]);
    backoff.reset();
    expect(backoff.nextMs()).toBe(100);
  });

  it('stays within its limits whatever the options', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5000 }),
        fc.integer({ min: 1, max: 5000 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (initialMs, maxMs, jitter) => {
          const backoff = new Backoff({ initialMs, maxMs, jitter });
          for (let index = 0; index < 20; index++) {
            const delayMs = backoff.nextMs();
            expect(delayMs).toBeGreaterThanOrEqual(0);
            expect(delayMs).toBeLessThanOrEqual(maxMs);
          }
        },
      ),
    );
  });
});

describe('retry', () => {
  it('tries again after a retriable error and gives the result', async () => {
    const onRetry = jest.fn();
    const result = await retry((attempt) => (attempt < 3 ? Promise.reject(retriable()) : Promise.resolve(attempt)), {
      backoff: quick(),
      onRetry,
    });
    expect(result).toBe(3);
    expect(onRetry).toHaveBeenCalledTimes(2);
  });

  it('gives up at once on an error that is not retriable', async () => {
    const fn = jest.fn(() => Promise.reject(new DittoError('DITTO_TEST_BROKEN', 'broken')));
    await expect(retry(fn, { backoff: quick() })).rejects.toMatchObject({ code: 'DITTO_TEST_BROKEN' });
    await expect(retry(() => Promise.reject(new Error('plain')), { backoff: quick() })).rejects.toThrow('plain');
    expect(fn).toHaveBeenCalledTimes(1);
  });

  it('asks isRetriable when given', async () => {
    const fn = jest.fn((attempt: number) =>
      attempt === 1 ? Promise.reject(new Error('plain')) : Promise.resolve('ok'),
    );
    await expect(retry(fn, { backoff: quick(), isRetriable: () => true })).resolves.toBe('ok');
  });

  it('ends with the reason of its signal while it waits', async () => {
    const controller = new AbortController();
    const reason = new Error('stop now');
    const running = retry(() => Promise.reject(retriable()), {
      backoff: new Backoff({ initialMs: 60_000, maxMs: 60_000 }),
      signal: controller.signal,
      onRetry: () => controller.abort(reason),
    });
    await expect(running).rejects.toBe(reason);
  });

  it('logs each reason once, also where they alternate, and the success after it', async () => {
    const lines: unknown[] = [];
    const logger: Logger = {
      ...silentLogger,
      warn: (message, fields) => lines.push([message, fields]),
      info: (message, fields) => lines.push([message, fields]),
    };
    const messages = ['connection 1 is down', 'connection 2 is down', 'it starts', 'it starts', 'connection 3 is down'];
    const work = (attempt: number): Promise<string> => {
      const message = messages[attempt - 1];
      return message === undefined
        ? Promise.resolve('ok')
        : Promise.reject(new DittoError('DITTO_TEST_BUSY', message, { retriable: true, remedy: 'Wait.' }));
    };
    const log = { logger, message: 'the server can not be asked', fields: { source: 'shop' } };
    expect(await retry(work, { backoff: quick(), log })).toBe('ok');
    const failure = (error: string) => [
      'the server can not be asked',
      { source: 'shop', code: 'DITTO_TEST_BUSY', error, remedy: 'Wait.' },
    ];
    expect(lines).toEqual([
      failure('connection 1 is down'),
      failure('it starts'),
      ['it works again', { source: 'shop', after: 'the server can not be asked', attempts: 6 }],
    ]);
    lines.length = 0;
    await retry(() => Promise.resolve(), { backoff: quick(), log });
    expect(lines).toEqual([]);
  });

  it('remembers some reasons only: an old one is logged again', async () => {
    const warn = jest.fn();
    const nine = 'a b c d e f g h i'.split(' ');
    const messages = [...nine, 'a', 'i'];
    const work = (attempt: number): Promise<string> => {
      const message = messages[attempt - 1];
      if (message === undefined) return Promise.resolve('ok');
      return Promise.reject(new DittoError('DITTO_TEST_BUSY', message, { retriable: true }));
    };
    await retry(work, { backoff: quick(), log: { logger: { ...silentLogger, warn }, message: 'no' } });
    expect(warn.mock.calls.map(([, fields]) => (fields as { error: string }).error)).toEqual([...nine, 'a']);
  });

  it('logs nothing when its signal was aborted meanwhile', async () => {
    const warn = jest.fn();
    const controller = new AbortController();
    const work = (): Promise<never> => {
      controller.abort();
      return Promise.reject(retriable());
    };
    const log = { logger: { ...silentLogger, warn }, message: 'no' };
    await expect(retry(work, { backoff: quick(), signal: controller.signal, log })).rejects.toThrow();
    expect(warn).not.toHaveBeenCalled();
  });
});
