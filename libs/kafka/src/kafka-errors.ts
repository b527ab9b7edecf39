import { DittoError, isAbort } from '#kernel';

import { describeErrors, linksOf, shortenError } from './error-chain.ts';
import { KAFKA_ERROR_CODES } from './kafka-error-codes.ts';
import { CUT_IN_HANDSHAKE, findRefusal, isClosedConnection, isCutInHandshake } from './kafka-refusals.ts';

export { KAFKA_ERROR_CODES } from './kafka-error-codes.ts';

/**
 * Kafka's answers and the clients' own errors, classified in one place
 * (https://kafka.apache.org/protocol#protocol_error_codes). Both clients name a broker's answer by the same upper-case
 * words, one as `apiId`, the other as `type`.
 */
const TOO_LARGE = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE']);

/** One record of a batch is refused for its content, and nothing of the batch was written. */
const RECORD_REFUSED = new Set(['INVALID_RECORD']);

/**
 * The broker does not know this producer id (any more), or lacks its last batch: nothing of the request was written.
 * Whether confirmed messages are gone with it is seen by offsets (`ConfirmedEnds`), not by these words.
 */
const PRODUCER_LOST = new Set([
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'UNKNOWN_PRODUCER_ID',
  'INVALID_PRODUCER_EPOCH',
  'INVALID_PRODUCER_ID_MAPPING',
]);

const NOT_READY = new Set([
  'COORDINATOR_LOAD_IN_PROGRESS',
  'COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR',
  'CONCURRENT_TRANSACTIONS',
]);

const FENCED = new Set(['INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED']);

const UNAUTHORIZED = new Set([
  'TOPIC_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'GROUP_AUTHORIZATION_FAILED',
  'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
]);

/** What the brokers refuse of any request. */
const REFUSED = new Set([
  'INVALID_TIMESTAMP',
  'INVALID_TOPIC_EXCEPTION',
  'INVALID_REQUIRED_ACKS',
  'INVALID_PARTITIONS',
  'INVALID_REPLICATION_FACTOR',
  'INVALID_REPLICA_ASSIGNMENT',
  'INVALID_CONFIG',
  'INVALID_REQUEST',
  'POLICY_VIOLATION',
  'UNSUPPORTED_VERSION',
  'UNSUPPORTED_COMPRESSION_TYPE',
  'UNSUPPORTED_FOR_MESSAGE_FORMAT',
  'SECURITY_DISABLED',
  'PLT_KFK_UNSUPPORTED',
  'PLT_KFK_UNSUPPORTED_API',
  'PLT_KFK_UNSUPPORTED_COMPRESSION',
  'KafkaJSNotImplemented',
  'KafkaJSServerDoesNotSupportApiKey',
]);

/** What kafkajs throws as a plain `Error` when a connection was lost before its request could be sent. */
const PLAIN_CONNECTION_ERRORS = new Set(['Broker not connected', 'Connection not available']);

/** Every word in an error and in what it carries that says what it is. */
function collectNames(error: unknown): ReadonlySet<string> {
  const names = new Set<string>();
  for (const link of linksOf(error)) {
    for (const field of ['apiId', 'type', 'code', 'name']) if (typeof link[field] === 'string') names.add(link[field]);
    if (PLAIN_CONNECTION_ERRORS.has(String(link['message']))) names.add('KafkaJSConnectionError');
  }
  return names;
}

function includesAny(names: ReadonlySet<string>, sought: ReadonlySet<string>): boolean {
  for (const name of names) if (sought.has(name)) return true;
  return false;
}

/** Of a client or of the network, as opposed to a mistake in a program. */
function comesFromKafka(names: ReadonlySet<string>): boolean {
  for (const name of names)
    if (/^(PLT_KFK_|KafkaJS|E[A-Z]{4,}$|ERR_SSL|ERR_TLS|ERR_SOCKET)/.test(name) || /^[A-Z]+(_[A-Z]+)+$/.test(name))
      return true;
  return false;
}

/** Whether nothing of a batch was written because of one of its records; by itself, it would be refused again. */
export function isRecordsOwn(error: unknown): error is DittoError {
  const { tooLarge, recordRefused } = KAFKA_ERROR_CODES;
  return error instanceof DittoError && (error.code === tooLarge || error.code === recordRefused);
}

/** The broker already has this very batch: as good as an acknowledgement. */
export function isAlreadyWritten(error: unknown): boolean {
  return collectNames(error).has('DUPLICATE_SEQUENCE_NUMBER');
}

/**
 * The broker has no producer id to give until the controller gives it more; or the coordinator of a transactional id is
 * not there yet, as before the first one is used.
 */
export function isWaitingForProducerIds(error: unknown): boolean {
  return includesAny(collectNames(error), NOT_READY);
}

/** Of a client with a transactional id: a later one with the same id has taken its place. */
export function isFenced(error: unknown): boolean {
  return includesAny(collectNames(error), FENCED);
}

export function isMissingTopic(error: unknown): boolean {
  const names = collectNames(error);
  return names.has('UNKNOWN_TOPIC_OR_PARTITION') || (error instanceof Error && error.message.includes('Unknown topic'));
}

export function isExistingTopic(error: unknown): boolean {
  return collectNames(error).has('TOPIC_ALREADY_EXISTS');
}

type Classified = readonly [code: string, retriable: boolean, remedy: string | undefined];

const CLOSED =
  'Check the brokers. One that wants a login (kafka.sasl) or TLS (kafka.tls) ends a connection without a word, too.';

function classify(error: unknown, names: ReadonlySet<string>): Classified {
  const codes = KAFKA_ERROR_CODES;
  if (includesAny(names, TOO_LARGE))
    return [
      codes.tooLarge,
      false,
      'Raise max.message.bytes of the topic (and message.max.bytes, replica.fetch.max.bytes of the brokers) above the size of the message.',
    ];
  if (includesAny(names, RECORD_REFUSED))
    return [codes.recordRefused, false, 'See the cause: the brokers refuse the message whenever it comes.'];
  const refusal = findRefusal(error);
  if (refusal !== null) return [refusal.code, refusal.retriable, refusal.remedy];
  if (includesAny(names, UNAUTHORIZED))
    return [
      codes.unauthorized,
      false,
      names.has('TRANSACTIONAL_ID_AUTHORIZATION_FAILED')
        ? 'Grant this user Write and Describe on the transactional id `<kafka.clientId>-<source>`, or set kafka.fencing: none.'
        : 'Grant this user Read, Write, Create and Describe on the topics of the source, and IdempotentWrite on the cluster.',
    ];
  if (includesAny(names, PRODUCER_LOST)) return [codes.producerLost, true, undefined];
  if (includesAny(names, REFUSED))
    return [codes.refused, false, 'See the cause: the brokers refuse such a request whenever it comes.'];
  if (isCutInHandshake(error)) return [codes.unavailable, true, CUT_IN_HANDSHAKE];
  if (isClosedConnection(error)) return [codes.unavailable, true, CLOSED];
  if (comesFromKafka(names)) return [codes.unavailable, true, undefined];
  return ['DITTO_INTERNAL', false, undefined];
}

/**
 * Any error of a client as a coded one. What is not known to be hopeless is retriable: with an idempotent producer
 * trying again is safe, and stopping is not.
 */
export function toKafkaError(
  error: unknown,
  what: string,
  context: Readonly<Record<string, unknown>> = {},
): DittoError {
  if (error instanceof DittoError) return error;
  if (isAbort(error))
    return new DittoError(KAFKA_ERROR_CODES.unavailable, `${what} was aborted`, {
      retriable: true,
      cause: error,
      context,
    });
  const names = collectNames(error);
  const [code, retriable, remedy] = classify(error, names);
  const message = describeErrors(error);
  const answers = [...names].filter((name) => /^[A-Z]+(_[A-Z]+)+$/.test(name) && !name.startsWith('PLT_KFK_'));
  const detail = answers.length > 0 ? `${message} (${answers.join(', ')})` : message;
  return new DittoError(code, `${what}: ${detail}`, {
    retriable,
    cause: shortenError(error),
    context,
    ...(remedy === undefined ? {} : { remedy }),
  });
}

/**
 * Whether to wait within a start for what failed. What TLS refuses is reported at once; the start as a whole is tried
 * again.
 */
export function isWorthWaiting(error: unknown): boolean {
  return error instanceof DittoError && error.retriable && error.code !== KAFKA_ERROR_CODES.untrusted;
}

/** No answer within the bound; whether anything was written is not known. */
export function timedOut(what: string, ms: number, context: Readonly<Record<string, unknown>> = {}): DittoError {
  return new DittoError(KAFKA_ERROR_CODES.unavailable, `${what}: no answer within ${ms} ms`, {
    retriable: true,
    context,
  });
}
