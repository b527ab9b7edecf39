import { type TopicDescription } from './kafka-client.ts';

function toNumber(text: string | null | undefined): number | null {
  return text === null || text === undefined ? null : Number(text);
}

/** From the brokers' settings in Kafka's words; one that is not shown is null. */
export function readTopicDescription(
  partitions: number,
  replicationFactor: number,
  settings: ReadonlyMap<string, string | null | undefined>,
): TopicDescription {
  return {
    partitions,
    replicationFactor,
    cleanupPolicy: settings.get('cleanup.policy') ?? null,
    minInSyncReplicas: toNumber(settings.get('min.insync.replicas')),
    maxMessageBytes: toNumber(settings.get('max.message.bytes')),
  };
}
