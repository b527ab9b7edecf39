import { expect, test } from '@jest/globals';
import { TlsErrors } from './tls-errors.ts';

const errors = new TlsErrors({ code: 'DITTO_TEST_TLS', server: 'The server', option: 'server.tls' });
const coded = (code: string, message: string): Error => Object.assign(new Error(message), { code });

test('an error of TLS has a remedy that names the option, and is tried again', () => {
  const error = coded('DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed certificate');
  expect(errors.findRemedy(error)).toMatch(/server\.tls\.ca/);
  expect(errors.classify(error)).toMatchObject({
    code: 'DITTO_TEST_TLS',
    retriable: true,
    message: 'The server can not be reached by TLS: self-signed certificate',
    remedy: errors.findRemedy(error),
    cause: error,
  });
});

test.each([
  ['another error', coded('ECONNREFUSED', 'connect ECONNREFUSED')],
  ['a connection that was lost meanwhile', coded('HANDSHAKE_SSL_ERROR', 'read ECONNRESET')],
  ['an error without a code', new Error('certificate has expired')],
  ['nothing', null],
])('%s is not one', (_, error) => {
  expect(errors.findRemedy(error)).toBeNull();
  expect(errors.classify(error)).toBeNull();
});

test('texts that are not certificates are refused for good', () => {
  const refused = { code: 'DITTO_TEST_TLS', retriable: false };
  expect(() => errors.assertUsable({})).not.toThrow();
  expect(() => errors.assertUsable({ ca: 'no' })).toThrow(expect.objectContaining(refused));
});
