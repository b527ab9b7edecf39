export { type ChangedKey, readChangedKey } from './changed-key.ts';
export { type ConfirmedEnd, ConfirmedEndStore, type KnownEnds, type PartitionLoss } from './confirmed-end-store.ts';
export { ConfirmedEnds, type ConfirmedEndsOptions } from './confirmed-ends.ts';
export {
  KafkaClient,
  type KafkaCompression,
  type KafkaRecord,
  type TopicDescription,
  type TopicSpec,
} from './kafka-client.ts';
export { type KafkaConnectionOptions, type KafkaSaslOptions } from './kafka-connection-options.ts';
export { KAFKA_ERROR_CODES } from './kafka-errors.ts';
export { KeyHistory, type KeyHistoryRequest, type KeyMessage, type KeyMessages } from './key-history.ts';
export { KafkaVerifiedSink, type KafkaVerifiedSinkOptions } from './fold/kafka-verified-sink.ts';
export { MessageKeys } from './fold/message-keys.ts';
export { type OrderFinding, type TopicFoldStatus } from './fold/topic-fold.ts';
export { TopicFolds, type TopicFoldsOptions } from './fold/topic-folds.ts';
export { listKeysAbove } from './keys-above.ts';
export { KafkaJsClient } from './kafkajs-client.ts';
export { KafkaPublisher, type KafkaPublisherOptions, TABLE_CHANGE_KEY } from './kafka-publisher.ts';
export { PartitionCountStore } from './partition-count-store.ts';
export { PlatformaticKafkaClient } from './platformatic-kafka-client.ts';
export {
  MessageSearch,
  type MessageSearchOptions,
  type SearchedMessages,
  type WantedMessage,
} from './message-search.ts';
export { batchOf, type RecordBatch } from './record-batch.ts';
export { type TopicDefaults } from './topic-preparation.ts';
export { KafkaEventReader, type KafkaEventReaderRun, type KafkaEventReaderStatus } from './kafka-event-reader.ts';
export { parsePublishedEvent, type PublishedEvent, type ReceivedMessage } from './published-event.ts';
export { checkKafka, type KafkaCheckOptions, type WantedTopic } from './kafka-check.ts';
export { TopicMemory, type TopicMemoryOptions } from './topic-memory.ts';
export { compileTopicPattern } from './topic-pattern.ts';
export { TopicReader } from './topic-reader.ts';
export { findOldestSurvivor } from './surviving-place.ts';
