import { type CheckFinding, DittoError, type Logger, silentLogger } from '#kernel';
import { uniqueName } from '#testing';

import {
  checkKafka,
  type KafkaClient,
  type KafkaConnectionOptions,
  KafkaEventReader,
  KafkaJsClient,
  PlatformaticKafkaClient,
  TopicReader,
} from '../src/index.ts';

export const clients: Readonly<Record<string, (options: KafkaConnectionOptions) => KafkaClient>> = {
  PlatformaticKafkaClient: (options) => new PlatformaticKafkaClient(options),
  KafkaJsClient: (options) => new KafkaJsClient(options),
};

type Way = (options: KafkaConnectionOptions) => Promise<unknown>;

/** Everything that connects to Kafka, by name; each rejects when it can't read this topic, which has a message. */
export function listWays(topic: string): Readonly<Record<string, Way>> {
  const publishers = Object.entries(clients).map(([name, create]): [string, Way] => [
    name,
    (options) => withClient(create, options, (client) => client.partitionCount(topic)),
  ]);
  return {
    ...Object.fromEntries(publishers),
    TopicReader: (options) => listTopics(options),
    KafkaEventReader: (options) => follow(options, topic),
    checkKafka: (options) => check(options, topic),
  };
}

/** How it fails; null when it does not. */
export async function refusal(work: () => Promise<unknown>): Promise<unknown> {
  try {
    await work();
    return null;
  } catch (error) {
    return error;
  }
}

export async function withClient<T>(
  create: (options: KafkaConnectionOptions) => KafkaClient,
  options: KafkaConnectionOptions,
  work: (client: KafkaClient) => Promise<T>,
): Promise<T> {
  const client = create(options);
  try {
    await client.connect();
    return await work(client);
  } finally {
    await client.close();
  }
}

async function listTopics(options: KafkaConnectionOptions): Promise<void> {
  const reader = new TopicReader(options);
  try {
    await reader.listTopics();
  } finally {
    await reader.close();
  }
}

/** Until an event comes, or it holds. */
async function follow(options: KafkaConnectionOptions, topic: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const warn: Logger['warn'] = (message, fields = {}) => {
    const { code, error, remedy } = fields as {
      readonly code: string;
      readonly error: string;
      readonly remedy: string;
    };
    reject(new DittoError(code, `${message}: ${error}`, { remedy }));
  };
  const stop = new AbortController();
  const ended = new KafkaEventReader({ ...options, logger: { ...silentLogger, warn } }).run(
    {
      groupId: uniqueName('group'),
      topics: [topic],
      maxEventsPerSecond: 1_000,
      read: () => 'an event',
      onEvents: () => {
        resolve(undefined);
        return Promise.resolve();
      },
    },
    stop.signal,
  );
  try {
    await Promise.race([promise, ended]);
  } finally {
    stop.abort();
    await ended.catch(() => undefined);
  }
}

async function check(connection: KafkaConnectionOptions, topic: string): Promise<void> {
  const findings = await checkKafka({
    connection,
    topics: { create: true, partitions: 1, replicationFactor: 1 },
    wanted: [{ topic, keyed: true }],
    maxBatchBytes: 1_000,
  });
  const error = findings.find(({ severity }) => severity === 'error');
  if (error !== undefined) throw asError(error);
}

function asError({ code, message, remedy }: CheckFinding): DittoError {
  return new DittoError(code, message, { remedy });
}
