import { describe, expect, it } from '@jest/globals';
import { DittoError } from './ditto-error.ts';
import { describeError, restoreError } from './error-description.ts';

describe('an error on a wire', () => {
  it('comes back with all but its cause', () => {
    const error = new DittoError('DITTO_TEST_BUSY', 'busy', {
      retriable: true,
      remedy: 'Wait.',
      context: { host: 'db' },
    });
    const restored = restoreError(JSON.parse(JSON.stringify(describeError(error))));
    expect(restored).toBeInstanceOf(DittoError);
    expect(describeError(restored)).toEqual(describeError(error));
  });

  it('is not seen in anything else', () => {
    for (const value of [null, undefined, 'text', { status: 'error' }, { code: 1, message: 'x' }])
      expect(restoreError(value)).toBeNull();
  });
});
