import { DittoError } from '#kernel';
import { describe, expect, it } from '@jest/globals';
import { mongo } from 'mongoose';
import { classifyMongoError, classifyWriteError } from './mongo-errors.ts';

const serverError = (code: number) => new mongo.MongoServerError({ message: 'no', code });

describe('classifyMongoError', () => {
  it.each([
    ['a lost connection', new mongo.MongoNetworkError('gone')],
    ['no primary', serverError(10107)],
    ['a write concern that timed out', serverError(64)],
    ["a deadlock of FerretDB's PostgreSQL", serverError(16908292)],
    ["a shutdown of FerretDB's PostgreSQL", serverError(5 + (7 << 6) + (32 << 12) + (1 << 24))],
  ])('takes %s for something that passes', (_name, error) => {
    expect(classifyMongoError(error)).toMatchObject({ code: 'DITTO_MONGO_UNAVAILABLE', retriable: true });
  });

  it.each([
    // a primary that is demoted, shut down, or not one yet
    ...[91, 189, 10058, 10107, 11600, 11602, 13435, 13436],
    // a write concern that was not reached
    ...[64, 79, 100],
    // a page or a cursor that the server gave up
    ...[43, 50, 175, 237, 262, 290],
    // an index that is being built, another operation in the way, a server with too much to do
    ...[117, 276, 12586, 12587, 365, 462],
    // its view of the data or of the shards is too old
    ...[63, 150, 234, 239, 246, 13388],
  ])('I1: holds and tries again after code %i', (code) => {
    expect(classifyMongoError(serverError(code))).toMatchObject({ code: 'DITTO_MONGO_UNAVAILABLE', retriable: true });
    expect(classifyWriteError('c', 1, { index: 0, code })).toMatchObject({ retriable: true });
  });

  it('I1: holds and tries again after an unknown code that the server calls passing', () => {
    const error = new mongo.MongoServerError({ message: 'no', code: 99_999, errorLabels: ['RetryableWriteError'] });
    expect(classifyMongoError(error)).toMatchObject({ code: 'DITTO_MONGO_UNAVAILABLE', retriable: true });
  });

  it.each([
    ['DITTO_MONGO_ACCESS_DENIED', serverError(18)],
    ['DITTO_MONGO_ACCESS_DENIED', serverError(13)],
    ['DITTO_MONGO_REFUSED', serverError(59)],
    ['DITTO_MONGO_DRIVER', new TypeError('x is not a function')],
  ])('stops with %s and keeps the cause', (code, error) => {
    const classified = classifyMongoError(error);
    expect(classified).toMatchObject({ code, retriable: false, cause: error });
    if (code !== 'DITTO_MONGO_DRIVER') expect(classified.remedy).not.toBeNull();
  });

  it('leaves a coded error as it is', () => {
    const error = new DittoError('DITTO_X', 'x');
    expect(classifyMongoError(error)).toBe(error);
  });
});

describe('classifyWriteError', () => {
  it('names collection and key of a refused document', () => {
    const error = classifyWriteError('shop.orders', 7, { index: 0, code: 10334, errmsg: 'too large' });
    expect(error).toMatchObject({
      code: 'DITTO_MONGO_DOCUMENT_REFUSED',
      retriable: false,
      context: { collection: 'shop.orders', key: '{"_id":7}' },
    });
  });

  it('retries a deadlock', () => {
    expect(classifyWriteError('shop.orders', 7, { index: 0, code: 16908292 })).toMatchObject({ retriable: true });
  });
});
