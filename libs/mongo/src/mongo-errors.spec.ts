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

  it.each([
    ['a network that fails', [6, 7, 89, 202, 9001]],
    ['an operation that was interrupted', [24, 46, 11601]],
    ['a write conflict', [112]],
    ['a member that can not serve such a read yet', [133, 134]],
    ['a session that has to authenticate again', [391]],
    ['a server without room for more', [402, 1]],
    [
      "FerretDB's PostgreSQL away or starting",
      ['08000', '08001', '08003', '08004', '08006', '57P01', '57P02', '57P03'],
    ],
    ["FerretDB's PostgreSQL read-only after a failover", ['25006']],
    ["FerretDB's PostgreSQL with a conflict", ['40001', '40P01', '55P03']],
    ["FerretDB's PostgreSQL without memory, connections or time", ['53200', '53300', '57014']],
  ])('I1: holds and tries again after %s', (_name, codes) => {
    // SQLSTATE as PostgreSQL packs it: five characters of six bits
    const pack = (state: string): number =>
      Array.from(state).reduceRight((packed, character) => packed * 64 + ((character.charCodeAt(0) - 48) & 63), 0);
    for (const code of codes.map((one) => (typeof one === 'string' ? pack(one) : one))) {
      expect([code, classifyMongoError(serverError(code)).retriable]).toEqual([code, true]);
      expect([code, classifyWriteError('c', 1, { index: 0, code }).retriable]).toEqual([code, true]);
      // also when the driver or mongoose has wrapped it
      const wrapped = new Error('failed', { cause: serverError(code) });
      expect([code, classifyMongoError(wrapped).retriable]).toEqual([code, true]);
    }
  });

  it.each([
    'MongooseServerSelectionError',
    'MongoWaitQueueTimeoutError',
    'MongoPoolClearedError',
    'MongoTopologyClosedError',
    'MongoNotConnectedError',
    'MongoServerClosedError',
    'MongoOperationTimeoutError',
    'MongoWriteConcernError',
  ])('I1: holds and tries again after %s, which the driver does not export', (name) => {
    const error = Object.assign(new Error('gone'), { name });
    expect(classifyMongoError(error)).toMatchObject({ code: 'DITTO_MONGO_UNAVAILABLE', retriable: true });
  });

  it.each(['EPIPE', 'ECONNRESET', 'ETIMEDOUT', 'EHOSTUNREACH', 'ERR_STREAM_DESTROYED', 'ERR_SOCKET_CLOSED'])(
    'I1: holds and tries again after %s of the socket, which the driver passes on while it writes a large command',
    (code) => {
      const error = Object.assign(new Error('This socket has been ended by the other party'), { code });
      expect(classifyMongoError(error)).toMatchObject({ code: 'DITTO_MONGO_UNAVAILABLE', retriable: true });
    },
  );

  it.each(['RetryableError', 'SystemOverloadedError', 'TransientTransactionError', 'ResumableChangeStreamError'])(
    'I1: holds and tries again after an unknown code with the label %s',
    (label) => {
      const error = new mongo.MongoServerError({ message: 'no', code: 99_999, errorLabels: [label] });
      expect(classifyMongoError(error)).toMatchObject({ retriable: true });
    },
  );

  it('knows an access that was denied to one operation of a write', () => {
    for (const code of [13, 18])
      expect(classifyWriteError('c', 1, { index: 0, code })).toMatchObject({ code: 'DITTO_MONGO_ACCESS_DENIED' });
  });

  it.each([
    ['bad auth : Authentication failed.', 'DITTO_MONGO_ACCESS_DENIED', 'DITTO_MONGO_ACCESS_DENIED'],
    ['user is not allowed to do action [insert]', 'DITTO_MONGO_ACCESS_DENIED', 'DITTO_MONGO_ACCESS_DENIED'],
    ['you are over your space quota', 'DITTO_MONGO_REFUSED', 'DITTO_MONGO_REFUSED'],
  ])('takes code 8000 of Atlas for what its text says: %s', (message, code, ofWrite) => {
    const error = new mongo.MongoServerError({ message, code: 8000 });
    expect(classifyMongoError(error).code).toBe(code);
    expect(classifyWriteError('c', 1, { index: 0, code: 8000, errmsg: message }).code).toBe(ofWrite);
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

describe('what TLS refuses', () => {
  const refused = new mongo.MongoNetworkError('no', {
    cause: Object.assign(new Error('certificate has expired'), { code: 'CERT_HAS_EXPIRED' }),
  });
  const away = new mongo.MongoNetworkError('no', {
    cause: Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }),
  });
  /** As the driver describes a topology. */
  const noServer = (...errors: readonly unknown[]): Error =>
    Object.assign(new Error('no server'), {
      name: 'MongooseServerSelectionError',
      reason: {
        servers: new Map(errors.map((error, index) => [`h${index}:1`, { host: `h${index}`, port: 1, error }])),
      },
    });

  it.each([
    ['of a connection', refused],
    ['of each member', noServer(refused, refused)],
    ['of the members that were asked so far', noServer(refused, null)],
  ])('is retriable, with the remedy: %s', (_name, error) => {
    expect(classifyMongoError(error)).toMatchObject({
      code: 'DITTO_MONGO_TLS_FAILED',
      retriable: true,
      remedy: expect.stringContaining('Renew'),
    });
  });

  it('is not the reason where a member is only away', () => {
    for (const error of [away, noServer(refused, away), noServer(away)])
      expect(classifyMongoError(error)).toMatchObject({ code: 'DITTO_MONGO_UNAVAILABLE', retriable: true });
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
