import { topicName } from '#change-events';
import { DcsClient } from '#dcs-client';
import { checkKafka, type KafkaClient, KafkaJsClient, PlatformaticKafkaClient } from '#kafka';
import { type CheckFinding, findError, silentLogger, toCheckFinding, toDittoError } from '#kernel';
import { checkMongo, mirrorDatabase } from '#mongo';
import {
  type DittoConfig,
  type HostPort,
  type KafkaConfig,
  toDcsOptions,
  toKafkaOptions,
  toMongoOptions,
  toRedisOptions,
  toStateOptions,
} from '#configuration';
import { findRpcToken } from '#platform';
import { checkRedis } from '#redis';
import { checkStateDatabase } from '#state';
import { type Checked } from './check.ts';
import { type SourceCheck } from './check-source.ts';

export async function checkState({ state }: DittoConfig, sources: readonly SourceCheck[]): Promise<Checked> {
  const { findings, serverUuid } = await checkStateDatabase(toStateOptions(state));
  const same = sources.filter(({ serverUuids }) => serverUuid !== null && serverUuids.includes(serverUuid));
  const shared = same.map(({ source }) =>
    findError(
      'DITTO_STATE_ON_SOURCE',
      `the state database is on a server of the source ${source.name}: it would be lost, and switched, together with it`,
      'Use another MySQL server for the state database.',
    ),
  );
  return { subject: `state database, ${state.host}:${state.port}`, findings: [...findings, ...shared] };
}

/** Null when no source goes there. */
export async function checkKafkaSink({ kafka }: DittoConfig, sources: readonly SourceCheck[]): Promise<Checked | null> {
  const publishing = sources.filter(({ source }) => source.sinks.includes('kafka'));
  if (kafka === null || publishing.length === 0) return null;
  const subject = `Kafka, ${kafka.brokers.join(',')}`;
  const schemaTopics = kafka.schemaChanges
    ? publishing.map(({ source }) => ({ topic: source.name, keyed: false }))
    : [];
  const tableTopics = publishing.flatMap(({ source, tables }) =>
    (tables ?? []).flatMap(({ database, table, hasKey }) => {
      try {
        return [{ topic: topicName(source.name, database, table), keyed: hasKey }];
      } catch (error) {
        // the check of the source has told of it
        if (toDittoError(error).code === 'DITTO_INTERNAL') throw error;
        return [];
      }
    }),
  );
  const wanted = [...schemaTopics, ...tableTopics];
  const failure = await tryClient(kafka);
  if (failure !== null) return { subject, findings: [failure] };
  const { topics, maxBatchBytes } = kafka;
  return { subject, findings: await checkKafka({ connection: toKafkaOptions(kafka), topics, maxBatchBytes, wanted }) };
}

/** The client that publishes, which need not be the one that checks. */
async function tryClient(kafka: KafkaConfig): Promise<CheckFinding | null> {
  const options = { ...toKafkaOptions(kafka), requestTimeoutMs: 5000, deliveryTimeoutMs: 10_000, logger: silentLogger };
  let client: KafkaClient | null = null;
  try {
    client = kafka.client === 'kafkajs' ? new KafkaJsClient(options) : new PlatformaticKafkaClient(options);
    await client.connect();
    return null;
  } catch (error) {
    return toCheckFinding(error);
  } finally {
    await client?.close();
  }
}

/** Null when no source goes there. */
export async function checkMirror({ mongo, sources }: DittoConfig): Promise<Checked | null> {
  const mirrored = Object.values(sources).filter(({ sinks }) => sinks.includes('mongo'));
  if (mongo === null || mirrored.length === 0) return null;
  const { databasePrefix } = mongo;
  const databases = mirrored.map(({ name }) => mirrorDatabase({ source: name, databasePrefix }));
  return { subject: 'MongoDB', findings: await checkMongo({ connection: toMongoOptions(mongo), databases }) };
}

export async function checkRedisServer({ redis }: DittoConfig): Promise<Checked> {
  return { subject: 'Redis', findings: await checkRedis(toRedisOptions(redis)) };
}

/** An instance that is not up yet is only a warning: it may be started after this check. */
export async function checkDcs({ dcs, auth }: DittoConfig, endpoint: HostPort): Promise<Checked> {
  const token = findRpcToken(auth)?.reveal() ?? null;
  const subject = `DCS, ${endpoint.host}:${endpoint.port}`;
  let client: DcsClient | null = null;
  try {
    client = new DcsClient({ ...toDcsOptions(dcs), endpoints: [endpoint], token });
    await client.listLeases();
    return { subject, findings: [] };
  } catch (error) {
    return { subject, findings: [toCheckFinding(error, toDittoError(error).retriable ? 'warning' : 'error')] };
  } finally {
    client?.close();
  }
}
