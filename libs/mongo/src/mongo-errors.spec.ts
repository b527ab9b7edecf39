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
      context: { collection: 'shop.orders', key: '{"key":7}' },
    });
  });

  it('retries a deadlock', () => {
    expect(classifyWriteError('shop.orders', 7, { index: 0, code: 16908292 })).toMatchObject({ retriable: true });
  });
});
