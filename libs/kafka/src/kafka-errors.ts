import { DittoError, isAbort } from '#kernel';

/**
 * Kafka's answers and the clients' own errors, told apart once (https://kafka.apache.org/protocol#protocol_error_codes).
 * Both clients name a broker's answer by the same upper-case words, one as `apiId`, the other as `type`.
 */
const tooLarge = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE']);

/**
 * The broker does not know this producer id (any more), or lacks its last batch: nothing of the request was written.
 * Whether confirmed messages are gone with it, offsets tell (`ConfirmedEnds`), not these words.
 */
const producerLost = new Set([
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'UNKNOWN_PRODUCER_ID',
  'INVALID_PRODUCER_EPOCH',
  'INVALID_PRODUCER_ID_MAPPING',
]);

const unauthenticated = new Set([
  'SASL_AUTHENTICATION_FAILED',
  'UNSUPPORTED_SASL_MECHANISM',
  'ILLEGAL_SASL_STATE',
  'PLT_KFK_AUTHENTICATION',
  'KafkaJSSASLAuthenticationError',
]);

const unauthorized = new Set([
  'TOPIC_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'GROUP_AUTHORIZATION_FAILED',
  'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
]);

/** A certificate that Node refuses stays refused: waiting does not heal it. */
const untrusted = new Set([
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]);

const refused = new Set([
  'INVALID_RECORD',
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
const plainConnectionErrors = new Set(['Broker not connected', 'Connection not available']);

/** Every word in an error and in what it carries that says what it is. */
function collectNames(error: unknown, names: Set<string>, depth = 0): Set<string> {
  if (typeof error !== 'object' || error === null || depth > 8) return names;
  const fields = error as Record<string, unknown>;
  for (const field of ['apiId', 'type', 'code', 'name'])
    if (typeof fields[field] === 'string') names.add(fields[field]);
  if (plainConnectionErrors.has(String(fields['message']))) names.add('KafkaJSConnectionError');
  for (const field of ['cause', 'originalError']) collectNames(fields[field], names, depth + 1);
  if (Array.isArray(fields['errors'])) for (const inner of fields['errors']) collectNames(inner, names, depth + 1);
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

/** The broker already has this very batch: as good as an acknowledgement. */
export function isAlreadyWritten(error: unknown): boolean {
  return collectNames(error, new Set()).has('DUPLICATE_SEQUENCE_NUMBER');
}

/** The broker has no producer id to give until the controller gives it more. Of coordinators, which share the name, none is asked. */
export function isWaitingForProducerIds(error: unknown): boolean {
  return collectNames(error, new Set()).has('COORDINATOR_LOAD_IN_PROGRESS');
}

export function isMissingTopic(error: unknown): boolean {
  const names = collectNames(error, new Set());
  return names.has('UNKNOWN_TOPIC_OR_PARTITION') || (error instanceof Error && error.message.includes('Unknown topic'));
}

export function isExistingTopic(error: unknown): boolean {
  return collectNames(error, new Set()).has('TOPIC_ALREADY_EXISTS');
}

export const kafkaErrorCodes = {
  unavailable: 'DITTO_KAFKA_UNAVAILABLE',
  tooLarge: 'DITTO_KAFKA_MESSAGE_TOO_LARGE',
  producerLost: 'DITTO_KAFKA_PRODUCER_LOST',
  confirmedLost: 'DITTO_KAFKA_CONFIRMED_LOST',
  unauthenticated: 'DITTO_KAFKA_AUTHENTICATION',
  unauthorized: 'DITTO_KAFKA_AUTHORIZATION',
  untrusted: 'DITTO_KAFKA_TLS',
  refused: 'DITTO_KAFKA_REFUSED',
  partitionsChanged: 'DITTO_KAFKA_PARTITIONS_CHANGED',
  topicMissing: 'DITTO_KAFKA_TOPIC_MISSING',
  compactedWithoutKey: 'DITTO_KAFKA_COMPACTED_WITHOUT_KEY',
} as const;

type Classified = readonly [code: string, retriable: boolean, remedy: string | undefined];

function classify(names: ReadonlySet<string>): Classified {
  const codes = kafkaErrorCodes;
  if (includesAny(names, tooLarge))
    return [
      codes.tooLarge,
      false,
      'Raise max.message.bytes of the topic (and message.max.bytes, replica.fetch.max.bytes of the brokers) above the size of the message.',
    ];
  if (includesAny(names, unauthenticated))
    return [codes.unauthenticated, false, 'Check the SASL mechanism, user name and password for Kafka.'];
  if (includesAny(names, unauthorized))
    return [
      codes.unauthorized,
      false,
      'Grant this user Read, Write, Create and Describe on the topics of the source, and IdempotentWrite on the cluster.',
    ];
  if (includesAny(names, untrusted))
    return [
      codes.untrusted,
      false,
      "Give the certificate authority of the brokers in Kafka's TLS settings, or mend the brokers' certificates.",
    ];
  if (includesAny(names, producerLost)) return [codes.producerLost, true, undefined];
  if (includesAny(names, refused))
    return [codes.refused, false, 'See the cause: the brokers refuse such a request whenever it comes.'];
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
    return new DittoError(kafkaErrorCodes.unavailable, `${what} was aborted`, {
      retriable: true,
      cause: error,
      context,
    });
  const names = collectNames(error, new Set());
  const [code, retriable, remedy] = classify(names);
  const message = error instanceof Error ? error.message : String(error);
  const answers = [...names].filter((name) => /^[A-Z]+(_[A-Z]+)+$/.test(name) && !name.startsWith('PLT_KFK_'));
  const detail = answers.length > 0 ? `${message} (${answers.join(', ')})` : message;
  return new DittoError(code, `${what}: ${detail}`, {
    retriable,
    cause: error,
    context,
    ...(remedy === undefined ? {} : { remedy }),
  });
}

/** No answer within the bound; whether anything was written is not known. */
export function timedOut(what: string, ms: number, context: Readonly<Record<string, unknown>> = {}): DittoError {
  return new DittoError(kafkaErrorCodes.unavailable, `${what}: no answer within ${ms} ms`, {
    retriable: true,
    context,
  });
}
