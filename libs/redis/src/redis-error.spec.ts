import { describe, expect, test } from '@jest/globals';
import { toRedisError } from './redis-error.ts';

function replyError(message: string): Error {
  const error = new Error(message);
  error.name = 'ReplyError';
  return error;
}

describe('toRedisError', () => {
  test.each([
    [new Error('connect ECONNREFUSED 127.0.0.1:1'), 'DITTO_REDIS_UNAVAILABLE', true],
    [new AggregateError([new Error('connect ECONNREFUSED ::1:1')]), 'DITTO_REDIS_UNAVAILABLE', true],
    [new Error('Command timed out'), 'DITTO_REDIS_UNAVAILABLE', true],
    [replyError('LOADING Redis is loading the dataset in memory'), 'DITTO_REDIS_UNAVAILABLE', true],
    [replyError("READONLY You can't write against a read only replica."), 'DITTO_REDIS_UNAVAILABLE', true],
    [
      replyError("ERR Error running script: @user_script:1: -READONLY You can't write."),
      'DITTO_REDIS_UNAVAILABLE',
      true,
    ],
    [replyError('MASTERDOWN Link with MASTER is down'), 'DITTO_REDIS_UNAVAILABLE', true],
    [replyError('WRONGPASS invalid username-password pair'), 'DITTO_REDIS_ACCESS_DENIED', false],
    [replyError('WRONGTYPE Operation against a key'), 'DITTO_REDIS_COMMAND_FAILED', false],
  ])('%s is %s', (error, code, retriable) => {
    expect(toRedisError(error)).toMatchObject({
      code,
      retriable,
      cause: error,
      message: expect.stringMatching(/: \S/),
    });
  });
});
