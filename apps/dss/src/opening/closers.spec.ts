import { expect, it } from '@jest/globals';
import { DittoError, type Logger, silentLogger } from '#kernel';
import { Closers } from './closers.ts';

it('closes the newest first, past what fails, and each once', async () => {
  const log: string[] = [];
  const logger: Logger = {
    ...silentLogger,
    warn: (message, context) => void log.push(`${message}: ${String(context?.['code'])}`),
  };
  const closers = new Closers(logger);
  closers.add(() => void log.push('first'));
  closers.add(
    () => Promise.reject(new DittoError('DITTO_KAFKA_UNAVAILABLE', 'away')),
    () => Promise.resolve(void log.push('last')),
  );
  await closers.close();
  await closers.close();
  expect(log).toEqual(['last', 'a connection did not close in order: DITTO_KAFKA_UNAVAILABLE', 'first']);
});
