import { beforeEach, describe, expect, it } from '@jest/globals';
import { DittoError } from '#kernel';
import { Secret } from '#configuration';
import { configureLogging, createLogger } from './root-logger.ts';

const early = createLogger('early');
let lines: string[] = [];

beforeEach(() => {
  lines = [];
  configureLogging({ service: 'dss', level: 'info', destination: { write: (line) => void lines.push(line) } });
});

function lastLine(): unknown {
  return JSON.parse(lines.at(-1) ?? '');
}

describe('a logger', () => {
  it('writes JSON with service, component and fields', () => {
    createLogger('kafka').info('published', { rows: 3 });
    expect(lastLine()).toMatchObject({ level: 'info', service: 'dss', component: 'kafka', rows: 3, msg: 'published' });
  });

  it('made before the configuration follows it', () => {
    early.warn('late');
    early.debug('too low');
    expect(lines).toHaveLength(1);
    expect(lastLine()).toMatchObject({ component: 'early', level: 'warn' });
  });

  it('writes code, context and causes of an error', () => {
    const error = new DittoError('DITTO_TEST_BUSY', 'busy', { context: { port: 1 }, cause: new Error('socket') });
    early.error('failed', { error });
    expect(lastLine()).toMatchObject({
      error: { code: 'DITTO_TEST_BUSY', message: 'busy', context: { port: 1 }, cause: { message: 'socket' } },
    });
  });

  it('shows no secret: by type, by name, or in a URL', () => {
    const error = new Error('connect redis://me:hunter2@host:1/ failed');
    early.info('to mongodb://me:hunter2@host/?x', {
      url: new Secret('hunter2'),
      password: 'hunter2',
      options: { password: 'hunter2', token: 'hunter2', grant: { token: 42 } },
      error: new DittoError('DITTO_TEST_BUSY', 'x', { cause: error, context: { url: new Secret('hunter2') } }),
    });
    expect(lines.join('')).not.toContain('hunter2');
    expect(lastLine()).toMatchObject({ options: { grant: { token: 42 } }, msg: 'to mongodb://me:[secret]@host/?x' });
  });

  it('hides passwords of URLs in a line of a megabyte in no time', () => {
    const began = performance.now();
    for (const part of ['a', '://', ':', 'a://b', 'a://b:c', '@']) early.info(part.repeat(1_000_000 / part.length));
    early.info(`${'a'.repeat(1_000_000)} redis://me:hunter2@host ${'://:'.repeat(1_000)} mongodb://you:hunter2@host`);
    expect(performance.now() - began).toBeLessThan(10_000);
    expect(lines.at(-1)).not.toContain('hunter2');
    expect(lines.at(-1)).toContain('mongodb://you:[secret]@host');
  });
});
