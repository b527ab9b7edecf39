import { describe, expect, test } from '@jest/globals';
import { DittoError } from '#kernel';
import { createFencedError, isFromSoundServer, toStateError } from './state-error.ts';

function serverError(errno: number, code: string | undefined, fatal?: boolean): Error {
  return Object.assign(new Error(`error ${errno}`), { errno, code, sqlState: 'HY000', ...(fatal && { fatal }) });
}

describe('toStateError and isFromSoundServer', () => {
  test.each([
    ['read_only, super_read_only', serverError(1290, 'ER_OPTION_PREVENTS_STATEMENT')],
    ['innodb_read_only', serverError(1836, 'ER_READ_ONLY_MODE')],
    ['transaction_read_only', serverError(1792, 'ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION')],
    ['a group without a primary', serverError(3100, 'ER_RUN_HOOK_ERROR')],
    ['a Galera node outside of its cluster', serverError(1047, 'ER_UNKNOWN_COM_ERROR')],
    ['offline_mode', serverError(3032, 'ER_SERVER_OFFLINE_MODE')],
    ['killed, MariaDB', serverError(1927, undefined)],
    ['killed', serverError(3169, 'ER_SESSION_WAS_KILLED')],
    ['idle for too long', serverError(4031, 'ER_CLIENT_INTERACTION_TIMEOUT')],
    ['whatever the driver calls fatal', serverError(9999, undefined, true)],
    ['a query that timed out', Object.assign(new Error('x'), { code: 'PROTOCOL_SEQUENCE_TIMEOUT' })],
  ])('%s: to be tried again, on another connection', (_, error) => {
    expect(toStateError(error)).toMatchObject({ code: 'DITTO_STATE_UNAVAILABLE', retriable: true, cause: error });
    expect(isFromSoundServer(error)).toBe(false);
    expect(isFromSoundServer(toStateError(error))).toBe(false);
  });

  test.each([
    ['a deadlock', serverError(1213, 'ER_LOCK_DEADLOCK'), 'DITTO_STATE_UNAVAILABLE', true],
    ['a lock', serverError(1205, 'ER_LOCK_WAIT_TIMEOUT'), 'DITTO_STATE_UNAVAILABLE', true],
    ['a missing right', serverError(1142, 'ER_TABLEACCESS_DENIED_ERROR'), 'DITTO_STATE_ACCESS_DENIED', false],
    ['a statement of ours', serverError(1064, 'ER_PARSE_ERROR'), 'DITTO_STATE_QUERY_FAILED', false],
    ['a fenced write', createFencedError('shop', 1, 2), 'DITTO_LEASE_FENCED', false],
  ])('%s: the connection is kept', (_, error, code, retriable) => {
    expect(toStateError(error)).toMatchObject({ code, retriable });
    expect(isFromSoundServer(error)).toBe(true);
  });

  test.each([
    ['a wrong password', serverError(1045, 'ER_ACCESS_DENIED_ERROR', true)],
    ['an account that is locked', serverError(3118, 'ER_ACCOUNT_HAS_BEEN_LOCKED', true)],
    ['a plugin that is not known', serverError(0, 'AUTH_SWITCH_PLUGIN_ERROR', true)],
  ])('%s: denied, and tried again with the next connection', (_, error) => {
    expect(toStateError(error)).toMatchObject({ code: 'DITTO_STATE_ACCESS_DENIED', retriable: true });
  });

  test.each([
    ['a server that asks for TLS', serverError(3159, 'ER_SECURE_TRANSPORT_REQUIRED', true), /Set state\.tls/],
    [
      'an unknown authority',
      Object.assign(new Error('self-signed certificate'), { code: 'HANDSHAKE_SSL_ERROR', fatal: true }),
      /state\.tls\.ca/,
    ],
  ])('%s: an error of TLS, tried again with the next connection', (_, error, remedy) => {
    expect(toStateError(error)).toMatchObject({
      code: 'DITTO_STATE_TLS_FAILED',
      retriable: true,
      remedy: expect.stringMatching(remedy),
    });
  });

  test('a connection that is lost while TLS is set up: to be tried again', () => {
    const error = Object.assign(new Error('read ECONNRESET'), { code: 'HANDSHAKE_SSL_ERROR', fatal: true });
    expect(toStateError(error)).toMatchObject({ code: 'DITTO_STATE_UNAVAILABLE', retriable: true });
  });

  test('a coded error stays as it is', () => {
    const error = new DittoError('DITTO_X', 'x');
    expect(toStateError(error)).toBe(error);
  });
});
