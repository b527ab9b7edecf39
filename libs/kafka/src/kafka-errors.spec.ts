import { describe, expect, it } from '@jest/globals';
import { MultipleErrors, NetworkError, ProtocolError, ResponseError, TimeoutError } from '@platformatic/kafka';
import kafkajs from 'kafkajs';

import { toKafkaError } from './kafka-errors.ts';

const { KafkaJSConnectionError, KafkaJSNumberOfRetriesExceeded, KafkaJSProtocolError, KafkaJSRequestTimeoutError } =
  kafkajs;

function fromKafkaJs(type: string): Error {
  return new KafkaJSProtocolError(Object.assign(new Error(type), { type, code: 1, retriable: false }));
}

function fromResponse(apiId: number): Error {
  return new ResponseError(0, 9, { '/responses/0': [apiId, null] }, {});
}

describe('toKafkaError', () => {
  it.each([
    ['a lost connection', new NetworkError('Connection closed')],
    [
      'a refused connection',
      new NetworkError('failed', { cause: Object.assign(new Error(), { code: 'ECONNREFUSED' }) }),
    ],
    ['a request without an answer', new TimeoutError('Request timed out')],
    [
      'several causes',
      new MultipleErrors('failed', [new NetworkError('a'), new ProtocolError('NOT_LEADER_OR_FOLLOWER')]),
    ],
    ['NOT_LEADER_OR_FOLLOWER', fromResponse(6)],
    ['NOT_ENOUGH_REPLICAS', fromResponse(19)],
    ['NOT_ENOUGH_REPLICAS_AFTER_APPEND', fromKafkaJs('NOT_ENOUGH_REPLICAS_AFTER_APPEND')],
    ['REQUEST_TIMED_OUT', fromKafkaJs('REQUEST_TIMED_OUT')],
    ['an answer that says nothing', fromKafkaJs('UNKNOWN_SERVER_ERROR')],
    ['a connection of kafkajs', new KafkaJSConnectionError('closed')],
    ['a timeout of kafkajs', new KafkaJSRequestTimeoutError('late')],
    [
      'given up retries of kafkajs',
      new KafkaJSNumberOfRetriesExceeded(new KafkaJSConnectionError('closed'), { retryCount: 1, retryTime: 1 }),
    ],
    ['a plain error of kafkajs', new Error('Broker not connected')],
  ])('takes %s for something that waiting heals', (_name, error) => {
    expect(toKafkaError(error, 'sending')).toMatchObject({ code: 'DITTO_KAFKA_UNAVAILABLE', retriable: true });
  });

  it.each([
    ['MESSAGE_TOO_LARGE', fromResponse(10), 'DITTO_KAFKA_MESSAGE_TOO_LARGE'],
    ['RECORD_LIST_TOO_LARGE', fromKafkaJs('RECORD_LIST_TOO_LARGE'), 'DITTO_KAFKA_MESSAGE_TOO_LARGE'],
    [
      'INVALID_RECORD beside an unknown error',
      new ResponseError(0, 9, { '/a': [-1, 'no key'], '/b': [87, null] }, {}),
      'DITTO_KAFKA_RECORD_REFUSED',
    ],
    ['TOPIC_AUTHORIZATION_FAILED', fromResponse(29), 'DITTO_KAFKA_AUTHORIZATION'],
    [
      'SASL_AUTHENTICATION_FAILED',
      new MultipleErrors('failed', [new NetworkError('x', { cause: new ProtocolError('SASL_AUTHENTICATION_FAILED') })]),
      'DITTO_KAFKA_AUTHENTICATION',
    ],
    ['a mistake in a program', new TypeError('x is not a function'), 'DITTO_INTERNAL'],
  ])('stops at %s', (_name, error, code) => {
    expect(toKafkaError(error, 'sending')).toMatchObject({ code, retriable: false });
  });

  it('knows a forgotten producer, which a new id heals', () => {
    for (const error of [fromResponse(45), fromResponse(59), fromKafkaJs('INVALID_PRODUCER_EPOCH')])
      expect(toKafkaError(error, 'sending')).toMatchObject({ code: 'DITTO_KAFKA_PRODUCER_LOST', retriable: true });
  });

  it('I9: of an answer with an error for each of thousands of partitions, a few are kept', () => {
    const errors = Object.fromEntries(
      Array.from({ length: 12_000 }, (_, index) => [`/topics/${index}`, [index === 11_000 ? 29 : 5, null]]),
    ) as Record<string, [number, null]>;
    const response = new MultipleErrors('failed', [new ResponseError(3, 12, errors, { topics: [] })]);
    const error = toKafkaError(response, 'reading topics');
    expect(error).toMatchObject({ code: 'DITTO_KAFKA_AUTHORIZATION', retriable: false });
    expect(error.message).toContain('LEADER_NOT_AVAILABLE');
    expect((error.cause as AggregateError).errors).toHaveLength(5);
  });
});
