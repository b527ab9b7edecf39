import { describe, expect, it } from '@jest/globals';
import {
  AuthenticationError,
  MultipleErrors,
  NetworkError,
  ResponseError,
  TimeoutError,
  UserError,
} from '@platformatic/kafka';
import kafkajs from 'kafkajs';

import { isWorthWaiting, toKafkaError } from './kafka-errors.ts';

const { KafkaJSConnectionError } = kafkajs;
/** Its type knows no message. */
const KafkaJsLoginError = kafkajs.KafkaJSSASLAuthenticationError as unknown as new (message: string) => Error;

const CUT = 'Client network socket disconnected before secure TLS connection was established';
const ALERT =
  '40DD:error:0A000412:SSL routines:ssl3_read_bytes:ssl/tls alert bad certificate:../deps/openssl/record.c:918:SSL alert number 42';

function coded(code: string, message = ''): Error {
  return Object.assign(new Error(message), { code });
}

/** As @platformatic/kafka wraps why it could not connect. */
function failed(cause: Error): Error {
  const once = new MultipleErrors('Cannot connect to any broker.', [
    new NetworkError('Connection to a:9092 failed.', { cause }),
  ]);
  return new MultipleErrors('metadata failed 3 times.', [once, once, once]);
}

function handshake(errorCode: number): Error {
  const cause = new ResponseError(17, 1, { '/': [errorCode, null] }, { errorCode, mechanisms: ['PLAIN', 'GSSAPI'] });
  return failed(new AuthenticationError('Cannot find a suitable SASL mechanism.', { cause }));
}

describe('what TLS refuses', () => {
  it.each([
    ['CERT_HAS_EXPIRED', /Renew/],
    ['CERT_NOT_YET_VALID', /clocks/],
    ['ERR_TLS_CERT_ALTNAME_INVALID', /kafka\.tls\.servername/],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', /kafka\.tls\.ca/],
    ['CERT_SIGNATURE_FAILURE', /kafka\.tls\.ca/],
    ['ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE', /kafka\.tls\.cert and kafka\.tls\.key/],
    ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', /kafka\.tls\.cert and kafka\.tls\.key/],
    ['ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', /TLS 1\.2 or newer/],
  ])('%s is tried again, and says what to do', (code, remedy) => {
    const expected = { code: 'DITTO_KAFKA_TLS', retriable: true, remedy: expect.stringMatching(remedy) };
    expect(toKafkaError(failed(coded(code)), 'connecting')).toMatchObject(expected);
    expect(toKafkaError(new KafkaJSConnectionError('x', { code }), 'connecting')).toMatchObject(expected);
  });

  it.each([
    ['PlatformaticKafkaClient', failed(new UserError('x', { cause: coded('ECONNRESET', CUT) }))],
    ['kafkajs', new KafkaJSConnectionError(`Connection error: ${CUT}`, { code: 'ECONNRESET' })],
  ])('is not a connection that ends in the handshake, which is waited for: %s', (_, cause) => {
    const error = toKafkaError(cause, 'connecting');
    const remedy = expect.stringMatching(/Check the brokers\. A listener without TLS/);
    expect(error).toMatchObject({ code: 'DITTO_KAFKA_UNAVAILABLE', retriable: true, remedy });
    expect(isWorthWaiting(error)).toBe(true);
  });

  it('includes brokers with TLS only, and what answers in plain text', () => {
    expect(toKafkaError(coded('ERR_SSL_WRONG_VERSION_NUMBER'), 'connecting')).toMatchObject({
      code: 'DITTO_KAFKA_TLS',
      remedy: expect.stringMatching(/offers no TLS/),
    });
    for (const error of [new UserError('Broker requires TLS.'), coded('BROKER_REQUIRES_TLS')])
      expect(toKafkaError(error, 'connecting')).toMatchObject({
        code: 'DITTO_KAFKA_TLS',
        remedy: expect.stringMatching(/set kafka\.tls/),
      });
    expect(toKafkaError(coded('ECONNRESET', 'read ECONNRESET'), 'connecting').code).toBe('DITTO_KAFKA_UNAVAILABLE');
  });

  it('is named by its code where it has no text, as of a name without a reachable address', () => {
    const inner = Object.assign(new AggregateError([]), { code: 'ETIMEDOUT' });
    expect(toKafkaError(failed(inner), 'connecting').message).toBe(
      'connecting: Connection to a:9092 failed: ETIMEDOUT',
    );
  });

  it('is named by where and why, without repetitions and without places in the source of OpenSSL', () => {
    expect(toKafkaError(failed(coded('X', ALERT)), 'connecting').message).toBe(
      'connecting: Connection to a:9092 failed: ssl/tls alert bad certificate',
    );
    expect(toKafkaError(handshake(33), 'connecting').message).toBe(
      'connecting: Connection to a:9092 failed: Cannot find a suitable SASL mechanism: The broker does not support the requested SASL mechanism (UNSUPPORTED_SASL_MECHANISM)',
    );
  });
});

describe('a login', () => {
  it.each([
    ['is refused', handshake(58), /username, password/],
    ['has a mechanism that is not offered', handshake(33), /kafka\.sasl\.mechanism .*: PLAIN, GSSAPI\.$/],
    ['is not asked for', handshake(34), /ask for no login/],
    [
      'meets a broker that does not know the password',
      failed(new AuthenticationError('Invalid server signature.')),
      /password/,
    ],
    [
      'is refused, with kafkajs',
      new KafkaJsLoginError('SASL PLAIN authentication failed: Authentication failed: Invalid username or password'),
      /password/,
    ],
  ])('that %s is not tried again', (_, error, remedy) => {
    expect(toKafkaError(error, 'connecting')).toMatchObject({
      code: 'DITTO_KAFKA_AUTHENTICATION',
      retriable: false,
      remedy: expect.stringMatching(remedy),
    });
  });

  it.each([
    ['closed', failed(new AuthenticationError('x', { cause: new NetworkError('Connection closed') }))],
    ['silent', failed(new AuthenticationError('x', { cause: new TimeoutError('Request timed out') }))],
    ['closed, with kafkajs', new KafkaJsLoginError('SASL SCRAM SHA512 authentication failed: Closed connection')],
    [
      'silent, with kafkajs',
      new KafkaJsLoginError(
        'SASL PLAIN authentication failed: Request SaslAuthenticate(key: 36, version: 1) timed out',
      ),
    ],
  ])('that a connection cuts off is tried again: %s', (_, error) => {
    expect(toKafkaError(error, 'connecting')).toMatchObject({ code: 'DITTO_KAFKA_UNAVAILABLE', retriable: true });
  });
});
