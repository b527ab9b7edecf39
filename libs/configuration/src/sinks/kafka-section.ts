import { z } from 'zod';
import { type DeepReadonly } from '../deep-readonly.ts';
import { brokerAddress, bytes, choice, count, flag, milliseconds, secret, text, textOr } from '../options.ts';
import { toTlsOptions } from '../tls-options.ts';
import { tlsSchema } from '../tls-section.ts';
import { type SinkSection } from './sink-section.ts';

const saslSchema = z
  .strictObject({
    mechanism: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']).meta({
      description:
        'How to log in. Without `kafka.tls`, `plain` sends the password as it is, and to `scram` whoever listens can try passwords.',
    }),
    username: text('User name.'),
    password: secret('Password.'),
  })
  .meta({ description: 'Log in to the brokers.' });

const topicsSchema = z
  .strictObject({
    create: flag(true, 'Create topics that are missing.'),
    partitions: count(4, 'partitions', 'Partitions of a topic that is created.', { max: 10_000 }),
    replicationFactor: z
      .int()
      .min(-1)
      .max(100)
      .refine((value) => value !== 0, 'must be -1 or at least 1')
      .default(-1)
      .meta({ description: 'Copies of each partition; -1 leaves it to the broker.' }),
    cleanupPolicy: choice(
      ['compact', 'delete', 'compact,delete'],
      'compact',
      '`cleanup.policy` of a topic that is created.',
    ),
  })
  .meta({ description: 'How topics are created.' });

const schema = z
  .strictObject({
    brokers: z
      .array(brokerAddress('`host:port`.'))
      .min(1, 'must name at least one broker')
      .meta({ description: 'Brokers to ask first, as `host:port`.' }),
    clientId: textOr('ditto', 'Name that the brokers see.'),
    client: choice(['platformatic', 'kafkajs'], 'platformatic', 'Which client library publishes.'),
    fencing: z.enum(['transactions', 'none']).optional().meta({
      description:
        'How the brokers themselves refuse what a former owner of a source has sent and could not deliver before another one took over: by the epoch of a transactional id, `<clientId>-<source>` (no transactions are used). Default: `transactions` with the client `platformatic`; `kafkajs` has `none`.',
    }),
    tls: tlsSchema.optional(),
    sasl: saslSchema.optional(),
    topics: topicsSchema.prefault({}),
    compression: choice(['none', 'gzip', 'snappy', 'lz4', 'zstd'], 'none', 'How batches are compressed.'),
    maxBatchBytes: bytes(
      '768 KiB',
      16_384,
      "Largest batch before compression; keep it below the broker's `message.max.bytes`.",
    ),
    requestTimeoutMs: milliseconds(30_000, 'How long to wait for the answer of a broker.', { min: 1000 }),
    tombstones: flag(true, 'Follow each delete with an empty message, so that compaction forgets the key.'),
    schemaChanges: flag(
      true,
      'Publish the statements that create, alter and drop tables, to a topic with the name of the source.',
    ),
    bigint: choice(
      ['number', 'string'],
      'number',
      'How BIGINT is written: a number with all its digits, or text for readers that only know doubles.',
    ),
  })
  .meta({ description: 'Where changes are published. Leave the section out to replicate to MongoDB only.' });

export type KafkaConfig = DeepReadonly<z.output<typeof schema>>;

function findWeakSettings({ sasl, tls, topics }: KafkaConfig): string[] {
  const warnings: string[] = [];
  if (sasl?.mechanism === 'plain' && !tls)
    warnings.push('kafka.sasl sends its password unencrypted; add kafka.tls or use SCRAM');
  const { replicationFactor } = topics;
  if (replicationFactor > 0 && replicationFactor < 3)
    warnings.push(
      `kafka.topics.replicationFactor is ${replicationFactor}; below 3 the loss of a broker can lose confirmed changes`,
    );
  return warnings;
}

export const kafkaSection = { schema, findWeakSettings } satisfies SinkSection<KafkaConfig>;

/** By which the brokers tell the owners of a source apart; null where they don't. */
export function toTransactionalId({ fencing, client, clientId }: KafkaConfig, source: string): string | null {
  return fencing === 'none' || client === 'kafkajs' ? null : `${clientId}-${source}`;
}

export function toKafkaOptions({ brokers, clientId, tls, sasl, compression, requestTimeoutMs }: KafkaConfig) {
  return {
    brokers,
    clientId,
    tls: toTlsOptions(tls) ?? null,
    sasl: sasl === undefined ? null : { ...sasl, password: sasl.password.revealNewest() },
    compression,
    requestTimeoutMs,
  };
}
