import { describe, expect, it } from '@jest/globals';
import { DittoError } from './ditto-error.ts';
import { isAbort, toDittoError } from './to-ditto-error.ts';

describe('toDittoError', () => {
  it('gives a DittoError as it is', () => {
    const error = new DittoError('DITTO_TEST_BUSY', 'busy', { retriable: true });
    expect(toDittoError(error)).toBe(error);
  });

  it('wraps anything else as internal, not retriable, with its cause', () => {
    const cause = new TypeError('x is not a function');
    expect(toDittoError(cause)).toMatchObject({
      code: 'DITTO_INTERNAL',
      message: cause.message,
      retriable: false,
      cause,
    });
    expect(toDittoError('text').message).toBe('text');
  });
});

describe('isAbort', () => {
  it('knows the errors of aborted operations', () => {
    expect(isAbort(AbortSignal.abort().reason)).toBe(true);
    expect(isAbort(Object.assign(new Error('aborted'), { code: 'ABORT_ERR' }))).toBe(true);
    expect(isAbort(new Error('other'))).toBe(false);
    expect(isAbort(undefined)).toBe(false);
  });
});
