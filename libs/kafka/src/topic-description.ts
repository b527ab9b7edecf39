import { sleep } from '#kernel';

import { type TopicDescription } from './kafka-client.ts';
import { isMissingTopic } from './kafka-errors.ts';

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

/** A topic that was just created is known to some brokers before others: asks until it is known. */
export async function describeUntilKnown(describe: () => Promise<TopicDescription>): Promise<TopicDescription> {
  for (;;) {
    try {
      const description = await describe();
      if (description.partitions > 0) return description;
    } catch (error) {
      if (!isMissingTopic(error)) throw error;
    }
    await sleep(20);
  }
}
