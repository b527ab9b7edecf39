import { describe, expect, test } from '@jest/globals';
import { DittoError } from '#kernel';
import { toSourceError } from './source-error.ts';

function vendorError(message: string, code: string, errno = 0): Error {
  return Object.assign(new Error(message), { code, errno });
}

describe('toSourceError', () => {
  test.each([
    ['ECONNREFUSED', 0, 'connect ECONNREFUSED', 'DITTO_SOURCE_UNREACHABLE', true],
    ['ENOTFOUND', 0, 'getaddrinfo ENOTFOUND', 'DITTO_SOURCE_UNKNOWN_HOST', true],
    ['PROTOCOL_CONNECTION_LOST', 0, 'Connection lost', 'DITTO_SOURCE_CONNECTION_LOST', true],
    ['ER_ACCESS_DENIED_ERROR', 1045, 'Access denied', 'DITTO_SOURCE_ACCESS_DENIED', false],
    // names of the driver are MySQL's, whichever server gave the number
    ['UNKNOWN', 1969, 'Query execution was interrupted (max_statement_time exceeded)', 'DITTO_SOURCE_BUSY', true],
    ['UNKNOWN', 1927, 'Connection was killed', 'DITTO_SOURCE_CONNECTION_LOST', true],
    ['ER_OUT_OF_RESOURCES', 1041, 'Out of memory', 'DITTO_SOURCE_BUSY', true],
    ['ER_OUT_OF_SORTMEMORY', 1038, 'Out of sort memory', 'DITTO_SOURCE_BUSY', true],
    ['ER_SERVER_OFFLINE_MODE', 3032, 'The server is currently in offline mode', 'DITTO_SOURCE_UNREACHABLE', true],
    ['ER_UNKNOWN_COM_ERROR', 1047, 'WSREP has not yet prepared node', 'DITTO_SOURCE_UNREACHABLE', true],
    ['EMFILE', -24, 'connect EMFILE', 'DITTO_SOURCE_UNREACHABLE', true],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 0, 'wrong version number', 'DITTO_SOURCE_TLS_FAILED', false],
    ['AUTH_SWITCH_PLUGIN_ERROR', 0, 'unknown plugin', 'DITTO_SOURCE_ACCESS_DENIED', false],
    ['ER_PARSE_ERROR', 1064, 'You have an error in your SQL syntax', 'DITTO_SOURCE_QUERY_FAILED', false],
    [
      'ER_MASTER_FATAL_ERROR_READING_BINLOG',
      1236,
      'Cannot replicate because the source purged required binary logs. The missing transactions are …',
      'DITTO_SOURCE_PURGED',
      false,
    ],
    [
      'ER_MASTER_FATAL_ERROR_READING_BINLOG',
      1236,
      "Replica has more GTIDs than the source has, using the source's SERVER_UUID.",
      'DITTO_SOURCE_GTIDS_MISSING',
      false,
    ],
    [
      'ER_MASTER_FATAL_ERROR_READING_BINLOG',
      1236,
      'A replica with the same server_uuid/server_id as this replica has connected to the source',
      'DITTO_SOURCE_REPLICA_ID_TAKEN',
      false,
    ],
    [
      'ER_MASTER_FATAL_ERROR_READING_BINLOG',
      1236,
      'Could not find GTID state requested by slave in any binlog files. Probably the slave state is too old and required binlog files have been purged.',
      'DITTO_SOURCE_PURGED',
      false,
    ],
    [
      'ER_MASTER_FATAL_ERROR_READING_BINLOG',
      1236,
      "Error: connecting slave requested to start from GTID 0-77-3, which is not in the master's binlog",
      'DITTO_SOURCE_GTIDS_MISSING',
      false,
    ],
    [
      'ER_MASTER_FATAL_ERROR_READING_BINLOG',
      1236,
      'The binlog on the master is missing the GTID 0-1-5 requested by the slave (even though a subsequent sequence number does exist), and GTID strict mode is enabled',
      'DITTO_SOURCE_GTIDS_MISSING',
      false,
    ],
    [
      'ER_MASTER_FATAL_ERROR_READING_BINLOG',
      1236,
      'Cannot replicate anonymous transaction when AUTO_POSITION = 1, at file ./binlog.000003, position 157.',
      'DITTO_SOURCE_ANONYMOUS_TRANSACTION',
      false,
    ],
    [
      'ER_MASTER_FATAL_ERROR_READING_BINLOG',
      1236,
      'Cannot replicate anonymous transaction when @@GLOBAL.GTID_MODE = ON, at file ./binlog.000003, position 157.',
      'DITTO_SOURCE_ANONYMOUS_TRANSACTION',
      false,
    ],
    [
      'ER_MASTER_FATAL_ERROR_READING_BINLOG',
      1236,
      'Cannot replicate GTID-transaction when @@GLOBAL.GTID_MODE = OFF, at file ./binlog.000003, position 157.',
      'DITTO_SOURCE_GTID_MODE',
      false,
    ],
    [
      'ER_MASTER_FATAL_ERROR_READING_BINLOG',
      1236,
      'The replication sender thread cannot start in AUTO_POSITION mode: this server has GTID_MODE = OFF instead of ON.',
      'DITTO_SOURCE_GTID_MODE',
      false,
    ],
    [
      'ER_MASTER_FATAL_ERROR_READING_BINLOG',
      1236,
      'Client requested source to start replication from position > file size',
      'DITTO_SOURCE_PLACE_INVALID',
      false,
    ],
    [
      'ER_SLAVE_SAME_ID',
      4052,
      'A slave with the same server_uuid/server_id is already connected',
      'DITTO_SOURCE_REPLICA_ID_TAKEN',
      false,
    ],
  ])('%s %d %s', (code, errno, message, expected, retriable) => {
    const cause = vendorError(message, code, errno);
    expect(toSourceError(cause, 'reading')).toMatchObject({
      code: expected,
      retriable,
      cause,
      message: `reading: ${message}`,
    });
  });

  test.each([
    [1045, 'DITTO_SOURCE_ACCESS_DENIED', false],
    [1053, 'DITTO_SOURCE_CONNECTION_LOST', true],
    [1227, 'DITTO_SOURCE_ACCESS_DENIED', false],
    [1236, 'DITTO_SOURCE_LOG_UNREADABLE', false],
    [1317, 'DITTO_SOURCE_CONNECTION_LOST', true],
    [1105, 'DITTO_SOURCE_QUERY_FAILED', false],
  ])('knows %d of a dump by its number', (errno, code, retriable) => {
    expect(toSourceError(Object.assign(new Error('x'), { errno }), 'reading')).toMatchObject({ code, retriable });
  });

  test.each([
    ['08004', 'DITTO_SOURCE_CONNECTION_LOST', true],
    ['28000', 'DITTO_SOURCE_ACCESS_DENIED', false],
    ['40001', 'DITTO_SOURCE_BUSY', true],
    ['70100', 'DITTO_SOURCE_CONNECTION_LOST', true],
    ['HY000', 'DITTO_SOURCE_REFUSED', true],
  ])('I6: a refusal that is not known has a class and a remedy, by its SQL state %s', (sqlState, code, retriable) => {
    const error = toSourceError(Object.assign(new Error('x'), { errno: 9999, sqlState }), 'connecting', true);
    expect(error).toMatchObject({ code, retriable, remedy: expect.any(String) });
  });

  test('I6: a statement that is refused for a reason that is not known has a remedy, and is not tried for ever', () => {
    const error = toSourceError(Object.assign(new Error('x'), { errno: 9999, sqlState: 'HY000' }), 'querying');
    expect(error).toMatchObject({ code: 'DITTO_SOURCE_QUERY_FAILED', retriable: false, remedy: expect.any(String) });
  });

  test('leaves coded errors and aborts as they are', () => {
    const coded = new DittoError('DITTO_X', 'x');
    const abort = new DOMException('aborted', 'AbortError');
    expect(toSourceError(coded, 'reading')).toBe(coded);
    expect(toSourceError(abort, 'reading')).toBe(abort);
  });
});
