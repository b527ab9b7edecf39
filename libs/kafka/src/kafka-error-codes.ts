export const KAFKA_ERROR_CODES = {
  unavailable: 'DITTO_KAFKA_UNAVAILABLE',
  tooLarge: 'DITTO_KAFKA_MESSAGE_TOO_LARGE',
  recordRefused: 'DITTO_KAFKA_RECORD_REFUSED',
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
