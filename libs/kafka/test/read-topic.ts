import kafkajs, { type KafkaMessage } from 'kafkajs';

import { Backoff, retry } from '#kernel';

import { registerKafkaJsCodecs } from '../src/kafkajs-client.ts';

export interface StoredMessage {
  readonly partition: number;
  readonly offset: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: Readonly<Record<string, string>>;
}

function toStored(partition: number, { offset, key, value, headers }: KafkaMessage): StoredMessage {
  const texts = Object.entries(headers ?? {}).map(([name, header]) => [name, String(header)] as const);
  return {
    partition,
    offset: Number(offset),
    key: key?.toString() ?? null,
    value: value?.toString() ?? null,
    headers: Object.fromEntries(texts),
  };
}

/** Everything that is in a topic now, by partition and offset. */
export async function readTopic(brokers: readonly string[], topic: string): Promise<StoredMessage[]> {
  registerKafkaJsCodecs();
  const kafka = new kafkajs.Kafka({
    clientId: 'reader',
    brokers: [...brokers],
    logLevel: kafkajs.logLevel.NOTHING,
    retry: { retries: 20, maxRetryTime: 500 },
  });
  const admin = kafka.admin();
  await admin.connect();
  // the leader of a new partition may not know yet that it is
  const ends = await retry(() => admin.fetchTopicOffsets(topic), {
    backoff: new Backoff({ initialMs: 20, maxMs: 200 }),
    signal: AbortSignal.timeout(20_000),
    isRetriable: (error) => error instanceof kafkajs.KafkaJSError && error.retriable,
  });
  await admin.disconnect();
  const missing = new Map(
    ends.filter(({ low, high }) => Number(high) > Number(low)).map(({ partition, high }) => [partition, Number(high)]),
  );
  const messages: StoredMessage[] = [];
  if (missing.size > 0) {
    const consumer = kafka.consumer({ groupId: `read-${topic}-${Date.now()}`, maxWaitTimeInMs: 50 });
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    await new Promise<void>((resolve, reject) => {
      consumer.on('consumer.crash', ({ payload }) => {
        if (!payload.restart) reject(payload.error);
      });
      consumer
        .run({
          autoCommit: false,
          eachBatch: ({ batch }) => {
            for (const message of batch.messages) messages.push(toStored(batch.partition, message));
            if (Number(batch.lastOffset()) + 1 >= (missing.get(batch.partition) ?? 0)) missing.delete(batch.partition);
            if (missing.size === 0) resolve();
            return Promise.resolve();
          },
        })
        .catch(reject);
    });
    await consumer.disconnect();
  }
  return messages.sort((a, b) => a.partition - b.partition || a.offset - b.offset);
}
