import { z } from 'zod';
import { type DeepReadonly } from '../deep-readonly.ts';
import { bytes, count, milliseconds, secretUrl } from '../options.ts';
import { toTlsOptions } from '../tls-options.ts';
import { tlsSchema } from '../tls-section.ts';
import { type SinkSection } from './sink-section.ts';

const schema = z
  .strictObject({
    url: secretUrl(
      ['mongodb', 'mongodb+srv'],
      'Connection string. Options of it that choose what is read, what confirms a write, or how long a call may take are not used (a warning names them): Ditto reads what a majority has confirmed, from the primary, and sets the others itself. Where `mongo.tls` is given, options about TLS are not used either.',
    ),
    databasePrefix: z
      .string()
      .regex(/^[A-Za-z0-9_-]{0,14}$/, 'must be at most 14 letters, digits, - and _')
      .default('')
      .meta({ description: 'Stands between `ditto_` and the name of the source in the name of its database.' }),
    tls: tlsSchema.optional(),
    lanes: count(4, 'lanes', 'Bulk writes of one source that may be under way at the same time.', { max: 64 }),
    maxBatchOperations: count(1000, 'operations', 'Most documents in one bulk write.', { max: 25_000 }),
    maxBatchBytes: bytes('8 MiB', 65_536, 'Largest bulk write.'),
    writeConcern: z
      .union([z.literal('majority'), z.int().min(1).max(50)], { error: "must be 'majority' or a number of members" })
      .default('majority')
      .meta({ description: 'Members that must confirm a write; fewer than the majority can lose confirmed changes.' }),
    tombstoneRetentionMs: milliseconds(
      86_400_000,
      'How long the trace of a deleted row is kept at least. A comparison that takes longer than half of it says nothing of absent rows; below five minutes there is a warning.',
      { min: 1000 },
    ),
  })
  .meta({ description: 'Where the mirror is kept. Leave the section out to publish to Kafka only.' });

export type MongoConfig = DeepReadonly<z.output<typeof schema>>;

const SHORT_RETENTION_MS = 300_000;

function findWeakSettings({ writeConcern, tombstoneRetentionMs }: MongoConfig): string[] {
  const warnings: string[] = [];
  if (writeConcern !== 'majority')
    warnings.push(`mongo.writeConcern is ${writeConcern}; below the majority a failover can lose confirmed changes`);
  if (tombstoneRetentionMs < SHORT_RETENTION_MS)
    warnings.push(
      `mongo.tombstoneRetentionMs is ${tombstoneRetentionMs}; a comparison that takes longer than half of that can not tell a lost document from a deleted row, and is unsettled; set it to an hour at least`,
    );
  return warnings;
}

export const mongoSection = { schema, findWeakSettings } satisfies SinkSection<MongoConfig>;

export function toMongoOptions({ url, tls }: MongoConfig) {
  return { url: url.revealNewest(), tls: toTlsOptions(tls) };
}
