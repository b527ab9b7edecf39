import { expect, it } from '@jest/globals';
import { DittoError } from '#kernel';
import { notVerifiable } from '#verification';
import { holdOfError } from './hold-of-error.ts';

it('a sink that can not be asked makes its table not verifiable; other errors wait or fail', () => {
  expect(holdOfError(notVerifiable('topic t forgets rows by age'))).toEqual({
    state: 'not verifiable',
    reason: 'topic t forgets rows by age',
  });
  const error = (retriable: boolean): DittoError => new DittoError('DITTO_KAFKA_FOLD_FOLDER', 'no room', { retriable });
  expect(holdOfError(error(true))).toEqual({ state: 'waiting', reason: 'DITTO_KAFKA_FOLD_FOLDER: no room' });
  expect(holdOfError(error(false))).toEqual({ state: 'failed', reason: 'DITTO_KAFKA_FOLD_FOLDER: no room' });
});
