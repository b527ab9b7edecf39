import { z } from 'zod';
import {
  brokerAddress,
  bytes,
  choice,
  columnPattern,
  count,
  flag,
  milliseconds,
  port,
  renewableText,
  secret,
  secretUrl,
  tablePattern,
  text,
  textOr,
} from './options.ts';

export const tlsSchema = z
  .strictObject({
    ca: renewableText("Certificates (PEM) to trust instead of the system's; usually `{ file: … }`.").optional(),
    cert: renewableText('Client certificate (PEM).').optional(),
    key: secret('Private key (PEM) of the client certificate.').optional(),
    rejectUnauthorized: flag(true, 'Refuse servers whose certificate can not be verified.'),
    servername: text('Name to expect in the certificate when it is not the host.').optional(),
  })
  .meta({ description: 'Encrypt the connection; `tls: {}` trusts the authorities of the system.' });

const endpointSchema = z
  .strictObject({
    host: text('Host name or address.'),
    port: port(3306, 'TCP port.'),
    user: text('User with REPLICATION SLAVE, REPLICATION CLIENT and SELECT on the included tables.'),
    password: secret('Password of the user.'),
    tls: tlsSchema.optional(),
  })
  .meta({ description: 'One server of the cluster.' });

const snapshotSchema = z
  .strictObject({
    mode: choice(
      ['windowed', 'none'],
      'windowed',
      '`windowed` copies existing rows in chunks while the log goes on; `none` follows the log from now on and reads a table only when a statement changed its rows without row events.',
    ),
    chunkRows: count(2000, 'rows', 'Rows read at once.', { max: 100_000 }),
    pauseMs: milliseconds(0, 'Rest between two chunks, to spare the server.', { min: 0 }),
    cascadePauseMs: milliseconds(
      5000,
      'With `cascades: reread`: rest of a table between two re-reads that foreign keys have caused.',
      { min: 0 },
    ),
    endpoint: count(0, 'index', 'Which of the endpoints is read from, counted from 0.', { min: 0, max: 99 }),
  })
  .meta({ description: 'How rows that exist already are copied.' });

/** Also the prefix of topics and the name of the mirror's database. */
const SOURCE_NAME_PATTERN = '^[a-z0-9][a-z0-9_-]{0,47}$';

/** The name itself is held against its pattern with the contradictions, so that the options of a misnamed source are checked too. */
const sourceName = z.string().meta({ pattern: SOURCE_NAME_PATTERN });

export function isSourceName(name: string): boolean {
  return new RegExp(SOURCE_NAME_PATTERN).test(name);
}

export const sourceSchema = z
  .strictObject({
    endpoints: z.array(endpointSchema).min(1, 'must name at least one server').meta({
      description: 'Servers of one cluster, the preferred one first; the others are candidates to switch to.',
    }),
    serverId: z.int().min(1).max(4_294_967_295).optional().meta({
      description:
        'Server id of the reader; no other server or reader of the cluster may use it: of two readers with one id the server ends the older. Default: derived from the name of the source.',
    }),
    include: z
      .array(tablePattern('`database.table`, * for any characters.'))
      .min(1, 'must name at least one pattern')
      .meta({ description: 'Tables to replicate, as patterns `database.table`.' }),
    exclude: z
      .array(tablePattern('`database.table`, * for any characters.'))
      .default([])
      .meta({ description: 'Tables to leave out of what is included.' }),
    excludeColumns: z.array(columnPattern('`database.table.column`, * for any characters.')).default([]).meta({
      description:
        'Columns to leave out of the included tables, as patterns `database.table.column`: they are not read, not decoded, and written to no sink. Columns of a key can not be left out. When the patterns change, the tables that a new or a former one names are read again.',
    }),
    keys: z
      .record(tablePattern('`database.table`.'), z.array(text('Column.')).min(1, 'must name at least one column'))
      .default({})
      .meta({
        description:
          'The columns of a unique key without NULL, by `database.table`; a name with a point in backquotes. For tables without a primary key; without this, the first such key serves.',
      }),
    sinks: z
      .array(z.enum(['kafka', 'mongo']))
      .min(1, 'must name at least one sink')
      .optional()
      .meta({ description: 'Where the changes go. Default: every sink that is configured.' }),
    cascades: choice(
      ['refuse', 'reread'],
      'refuse',
      'Tables whose rows the server deletes or changes by foreign keys (CASCADE, SET NULL) without logging it: `refuse` them, or `reread` them after each change of a parent that can have such a consequence.',
    ),
    snapshot: snapshotSchema.prefault({}),
    acceptGtids: z.string().default('').meta({
      description:
        'A GTID set that the operator answers for: transactions that only one of the servers has (with `snapshot.endpoint`), or that the log never gives (`SET GLOBAL gtid_purged`), and that changed no row of an included table. Nothing waits for them.',
    }),
    heartbeatMs: milliseconds(
      1000,
      'How often the server gives a sign of life while nothing is written; without one the connection counts as lost.',
      { min: 100 },
    ),
  })
  .meta({ description: 'One MySQL cluster.' });

export const sourcesSchema = z.record(sourceName, sourceSchema).meta({
  description:
    'The MySQL clusters to replicate, by name. The name begins the topics (`<name>.<database>.<table>`) and ends the name of the database of the mirror (`ditto_<name>`).',
});

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

export const kafkaSchema = z
  .strictObject({
    brokers: z
      .array(brokerAddress('`host:port`.'))
      .min(1, 'must name at least one broker')
      .meta({ description: 'Brokers to ask first, as `host:port`.' }),
    clientId: textOr('ditto', 'Name that the brokers see.'),
    client: choice(['platformatic', 'kafkajs'], 'platformatic', 'Which client library publishes.'),
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

export const mongoSchema = z
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
    tombstoneRetentionMs: milliseconds(86_400_000, 'How long the trace of a deleted row is kept at least.', {
      min: 1000,
    }),
  })
  .meta({ description: 'Where the mirror is kept. Leave the section out to publish to Kafka only.' });

export const redisSchema = z
  .strictObject({
    url: secretUrl(
      ['redis', 'rediss'],
      'Connection string, `redis://` or `rediss://`, with user, password and database number where needed. Options after a `?` are not used (a warning names them).',
    ),
    keyPrefix: z
      .string()
      .regex(/^[A-Za-z0-9_-]{1,40}$/, 'must be up to 40 letters, digits, - and _')
      .default('ditto')
      .meta({ description: 'Begins the name of every key; different for each deployment that shares a Redis.' }),
    tls: tlsSchema.optional(),
  })
  .meta({ description: 'Redis of DCS and of the job queue of DWS.' });

export const stateSchema = z
  .strictObject({
    host: text('Host name or address.'),
    port: port(3306, 'TCP port.'),
    user: text('User that owns the database.'),
    password: secret('Password of the user.'),
    database: textOr('ditto', 'Name of the database; it is created when it is not there and the user may.'),
    tls: tlsSchema.optional(),
    connections: count(5, 'connections', 'Most connections of one process.', { max: 200 }),
  })
  .meta({ description: 'The state database: a MySQL that is not a source.' });
