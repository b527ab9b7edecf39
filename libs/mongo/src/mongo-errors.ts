import { DittoError, findReason, RESYNC } from '#kernel';
import { mongo } from 'mongoose';
import { findTlsError } from './mongo-tls.ts';

/** Codes of https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml that this lib reads. */
const DUPLICATE_KEY = 11000;
const NAMESPACE_EXISTS = 48;
const AUTHENTICATION = new Set([
  11, // UserNotFound
  13, // Unauthorized
  18, // AuthenticationFailed
  334, // MechanismUnavailable
]);
/** AtlasError: for what Atlas itself refuses, logins among much else, such as writes beyond the quota. */
const ATLAS = 8000;
const ATLAS_DENIES = /auth|not allowed/i;
/** Reasons of one document: the others of its command may be taken. Any other code is about the sink as a whole. */
const DOCUMENTS_OWN = new Set([
  2, // BadValue
  22, // InvalidBSON
  52, // DollarPrefixedFieldName
  57, // DottedFieldName
  121, // DocumentValidationFailure
  261, // a key longer than the server's index takes (DocumentDB)
  10334, // BSONObjectTooLarge
  15974, // too many nested levels
  17280, // KeyTooLong
  17419, // the resulting document is too large
  17420, // the document to upsert is too large
]);
const HEALS_BY_WAITING = new Set([
  1, // InternalError: FerretDB when its PostgreSQL goes away
  6, // HostUnreachable
  7, // HostNotFound
  24, // LockTimeout
  43, // CursorNotFound
  46, // LockBusy
  63, // StaleShardVersion
  50, // MaxTimeMSExpired
  64, // WriteConcernTimeout
  79, // UnknownReplWriteConcern
  89, // NetworkTimeout
  91, // ShutdownInProgress
  100, // UnsatisfiableWriteConcern
  112, // WriteConflict
  117, // ConflictingOperationInProgress
  133, // FailedToSatisfyReadPreference
  134, // ReadConcernMajorityNotAvailableYet
  150, // StaleEpoch
  175, // QueryPlanKilled
  189, // PrimarySteppedDown
  202, // NetworkInterfaceExceededTimeLimit
  234, // RetryChangeStream
  237, // CursorKilled
  239, // SnapshotTooOld
  246, // SnapshotUnavailable
  262, // ExceededTimeLimit
  276, // IndexBuildAborted
  290, // TransactionExceededLifetimeLimitSeconds
  365, // TemporarilyUnavailable
  391, // ReauthenticationRequired
  402, // ResourceExhausted
  462, // IngressRequestRateLimitExceeded
  9001, // SocketException
  10058, // LegacyNotPrimary
  10107, // NotWritablePrimary
  11600, // InterruptedAtShutdown
  11601, // Interrupted
  11602, // InterruptedDueToReplStateChange
  12586, // BackgroundOperationInProgressForDatabase
  12587, // BackgroundOperationInProgressForNamespace
  13388, // StaleConfig
  13435, // NotPrimaryNoSecondaryOk
  13436, // NotPrimaryOrSecondary
  // FerretDB passes states of its PostgreSQL through in PostgreSQL's own packing
  ...[
    '08000',
    '08001',
    '08003',
    '08004',
    '08006',
    '25006',
    '40001',
    '40P01',
    '53200',
    '53300',
    '55P03',
    '57014',
    '57P01',
    '57P02',
    '57P03',
  ].map(packSqlState),
]);

const TOOK_TOO_LONG = new Set([50, 262]); // MaxTimeMSExpired, ExceededTimeLimit

/** By which servers say that the same call may succeed later, whatever its code. */
const HEALING_LABELS = [
  'RetryableWriteError',
  'RetryableError',
  'SystemOverloadedError',
  'TransientTransactionError',
  'ResumableChangeStreamError',
];

/** One of the `writeErrors` of a reply. */
export interface ServerWriteError {
  readonly index: number;
  readonly code: number;
  readonly errmsg?: string;
  /** Of a duplicate key on MongoDB: the index. FerretDB names it in the message only. */
  readonly keyPattern?: Readonly<Record<string, unknown>>;
}

/** MAKE_SQLSTATE of PostgreSQL's elog.h: six bits for each character, the first in the lowest. */
function packSqlState(state: string): number {
  let packed = 0;
  for (let place = 0; place < state.length; place++) packed += ((state.charCodeAt(place) - 48) & 0x3f) << (6 * place);
  return packed;
}

/** Whether `_id` was there already. A duplicate in a unique index that somebody added is the document's own trouble. */
export function isDuplicateId({ code, keyPattern, errmsg = '' }: ServerWriteError): boolean {
  if (code !== DUPLICATE_KEY) return false;
  if (keyPattern !== undefined) return '_id' in keyPattern;
  const index = /Index '([^']*)'/.exec(errmsg)?.[1];
  return index === undefined || index === '_id_';
}

/** Whether a read named an index that the collection lacks; MongoDB and FerretDB say it in the same words. */
export function isIndexMissing(error: unknown): boolean {
  return (
    error instanceof mongo.MongoServerError &&
    error.message.includes('hint provided does not correspond to an existing index')
  );
}

/** Whether the server, or the connection, was given up because the call took too long: a smaller one may succeed. */
export function isTimeout(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof mongo.MongoServerError && TOOK_TOO_LONG.has(Number(error.code))) return true;
  return error.name === 'MongoNetworkTimeoutError' || isTimeout(error.cause);
}

export function isNamespaceExists(error: unknown): boolean {
  return error instanceof mongo.MongoServerError && error.code === NAMESPACE_EXISTS;
}

/** Whether one operation of a bulk write failed for a reason that passes, such as a deadlock. */
export function isTransient(code: number): boolean {
  return HEALS_BY_WAITING.has(code);
}

const DOCUMENT_REFUSED = 'DITTO_MONGO_DOCUMENT_REFUSED';

/** MongoDB will never take the document, and takes others: the error of one change. */
export function documentRefused(collection: string, key: unknown, reason: string, cause?: unknown): DittoError {
  const shown = describeKey(key);
  return new DittoError(DOCUMENT_REFUSED, `${collection} ${shown}: ${reason}`, {
    remedy: `Make the row smaller, or change the value that MongoDB refuses: the row is read again and tried by itself (GET /failed-events of DWS). Where the source has stopped, ${RESYNC} then: a restart alone comes upon the refused version in the log again. Or exclude the table.`,
    context: { collection, key: shown },
    cause,
  });
}

export function isDocumentRefused(error: DittoError): boolean {
  return error.code === DOCUMENT_REFUSED;
}

/** The error of one operation of a bulk write that is not a duplicate `_id`: as `documentRefused` where it is the document's own. */
export function classifyWriteError(
  collection: string,
  key: unknown,
  { code, errmsg = '' }: ServerWriteError,
): DittoError {
  if (isTransient(code)) return unavailable(`a write failed for now: ${errmsg} (code ${code})`, undefined);
  if (isDenial(code, errmsg)) return accessDenied(errmsg, undefined);
  // a duplicate here is one of another row, in a unique index that somebody added
  if (code !== DUPLICATE_KEY && !DOCUMENTS_OWN.has(code)) return refused(errmsg, code, undefined);
  return documentRefused(collection, key, `${errmsg || 'the server refused the document'} (code ${code})`);
}

/**
 * What the driver threw, as a coded error: `DITTO_MONGO_UNAVAILABLE` and `DITTO_MONGO_TLS_FAILED` (retriable),
 * `DITTO_MONGO_ACCESS_DENIED`, `DITTO_MONGO_REFUSED` for anything else that the server said, `DITTO_MONGO_DRIVER` for what the driver itself refused.
 */
export function classifyMongoError(error: unknown): DittoError {
  if (error instanceof DittoError) return error;
  const message = findReason(error);
  const code = errorCode(error);
  if (isAccessDenied(error)) return accessDenied(message, error);
  const tlsError = findTlsError(error);
  if (tlsError !== null) return tlsError;
  if (isConnectionError(error) || hasHealingLabel(error) || (code !== null && isTransient(code)))
    return unavailable(message, error);
  if (error instanceof mongo.MongoServerError) return refused(message, code, error);
  return new DittoError('DITTO_MONGO_DRIVER', `the MongoDB driver failed: ${message}`, { cause: error });
}

/** Whether a command failed because of a document in it, and not because of the server or the connection. */
export function isDocumentsOwn(error: unknown): boolean {
  const code = errorCode(error);
  return code !== null && DOCUMENTS_OWN.has(code) && !hasHealingLabel(error);
}

function hasHealingLabel(error: unknown): boolean {
  return error instanceof mongo.MongoError && HEALING_LABELS.some((label) => error.hasErrorLabel(label));
}

/** Of Node's sockets. The driver does not wrap what ends a connection while it waits to write the rest of a large command. */
const SOCKET_CODES =
  /^(E(PIPE|CONN(RESET|REFUSED|ABORTED)|NOTCONN|TIMEDOUT|HOSTUNREACH|NETUNREACH|HOSTDOWN|NETDOWN|NETRESET)|ERR_(STREAM|SOCKET)_\w+)$/;

function isConnectionError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code } = error as { readonly code?: unknown };
  if (typeof code === 'string' && SOCKET_CODES.test(code)) return true;
  if (error instanceof mongo.MongoNetworkError || error instanceof mongo.MongoServerSelectionError) return true;
  // mongoose wraps the driver's error of a failed first connection; the other names have no exported class
  return [
    'MongooseServerSelectionError',
    'MongoWaitQueueTimeoutError',
    'MongoPoolClearedError',
    'MongoTopologyClosedError',
    'MongoNotConnectedError',
    'MongoServerClosedError',
    'MongoOperationTimeoutError',
    'MongoWriteConcernError',
  ].includes(error.name);
}

function isDenial(code: number, message: string): boolean {
  return AUTHENTICATION.has(code) || (code === ATLAS && ATLAS_DENIES.test(message));
}

function isAccessDenied(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code } = error as { readonly code?: unknown };
  return typeof code === 'number' ? isDenial(code, error.message) : isAccessDenied(error.cause);
}

function errorCode(error: unknown): number | null {
  if (!(error instanceof Error)) return null;
  const { code } = error as { readonly code?: unknown };
  if (typeof code === 'number') return code;
  return error.cause === undefined ? null : errorCode(error.cause);
}

function unavailable(message: string, cause: unknown): DittoError {
  return new DittoError('DITTO_MONGO_UNAVAILABLE', message, { retriable: true, cause });
}

function refused(message: string, code: number | null, cause: unknown): DittoError {
  return new DittoError('DITTO_MONGO_REFUSED', `MongoDB refused a command: ${message} (code ${code ?? 'none'})`, {
    remedy:
      "Look the code up in MongoDB's list of error codes; the pipeline continues where it stopped when it is started again.",
    context: { serverCode: code },
    cause,
  });
}

function accessDenied(message: string, cause: unknown): DittoError {
  return new DittoError('DITTO_MONGO_ACCESS_DENIED', `MongoDB denies access: ${message}`, {
    remedy:
      'Check user, password and authSource of the MongoDB URL; the user needs readWrite on the databases of the sources.',
    cause,
  });
}

function describeKey(key: unknown): string {
  const text =
    key instanceof Map
      ? JSON.stringify(Object.fromEntries(key as Map<string, unknown>))
      : mongo.BSON.EJSON.stringify({ _id: key });
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
