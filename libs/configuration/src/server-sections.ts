import { z } from 'zod';
import {
  choice,
  columnPattern,
  count,
  milliseconds,
  port,
  secret,
  secretUrl,
  tablePattern,
  text,
  textOr,
} from './options.ts';
import { repairSchema } from './repair-section.ts';
import { SINK_NAMES } from './sinks/registry.ts';
import { tlsSchema } from './tls-section.ts';

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
      '`windowed` copies existing rows in chunks while the log continues; `none` follows the log from now on and reads a table only when a statement changed its rows without row events.',
    ),
    chunkRows: count(2000, 'rows', 'Rows read at once.', { max: 100_000 }),
    pauseMs: milliseconds(0, 'Rest between two chunks, to spare the server.', { min: 0 }),
    cascadePauseMs: milliseconds(
      5000,
      'With `cascades: reread`: rest of a table between two re-reads that foreign keys have caused.',
      { min: 0 },
    ),
    endpoint: z.int().min(0).max(99).optional().meta({
      description: 'Which of the endpoints rows are read from, counted from 0. Default: the one whose log is streamed.',
    }),
  })
  .meta({ description: 'How rows that exist already are copied.' });

const paceSchema = z
  .strictObject({
    rowsPerSecond: count(10_000, 'rows', 'Most rows read in a second by one process of DWS; 0 for no bound.', {
      min: 0,
    }),
    queryMs: milliseconds(
      500,
      'What one query may take: the next one asks for as many rows as can be had in that time.',
    ),
    mostRunningThreads: count(
      32,
      'threads',
      'Reads pause while more threads of the server execute a statement; 0 for no bound.',
      { min: 0 },
    ),
    mostLagMs: milliseconds(
      10_000,
      'Reads pause while the server is further behind the one that it replicates from; 0 for no bound.',
      { min: 0 },
    ),
  })
  .meta({ description: 'How much verification may ask of the server that rows are read from.' });

export const SWITCH_DEFAULTS = { replicas: 1 } as const;

const switchSchema = z
  .strictObject({
    mode: choice(
      ['automatic', 'manual'],
      'automatic',
      '`automatic` moves the source to another of its endpoints when its server is lost, or stands still and the other one is ahead, and that one is proven to continue it; `manual` waits for `npm run ditto -- switch`.',
    ),
    afterMs: milliseconds(
      1500,
      'How long the server must not have answered before it is left. While DWS still reaches it: twenty times as long.',
      { min: 100 },
    ),
    dispatchAfter: choice(
      ['commit', 'replicated'],
      'commit',
      '`commit` gives changes to the sinks as soon as the server that is streamed has committed them; should no other server have them when it is lost, an operator must give them up. `replicated` waits until `replicas` other endpoints have executed them, so that one of these can take its place.',
    ),
    replicas: count(
      SWITCH_DEFAULTS.replicas,
      'endpoints',
      'With `dispatchAfter: replicated`: how many other endpoints.',
      { max: 20 },
    ),
    onLoss: choice(
      ['stop', 'heal'],
      'stop',
      'What happens when no server has all that was read, and one of the endpoints is a primary that goes on without it: `stop` waits for an operator (`npm run ditto -- accept-loss`); `heal` gives it up after `waitMs`, and reads again what it may have changed. Only with `mode: automatic`.',
    ),
    waitMs: milliseconds(
      30_000,
      'How long a switch that was asked for waits until the other server has executed everything that was read; with `onLoss: heal`, how long a server is waited for that has what is missing; and how long a server must have stood still before it is left.',
    ),
  })
  .meta({ description: 'When and how the source moves from one of its endpoints to another.' });

/** Also the prefix of topics and the name of the mirror's database. */
const SOURCE_NAME_PATTERN = '^[a-z0-9][a-z0-9_-]{0,47}$';

/**
 * The name itself is checked against its pattern with the contradictions, so that the options of a misnamed source are
 * checked too.
 */
const sourceName = z.string().meta({ pattern: SOURCE_NAME_PATTERN });

export function isSourceName(name: string): boolean {
  return new RegExp(SOURCE_NAME_PATTERN).test(name);
}

export const sourceSchema = z
  .strictObject({
    endpoints: z.array(endpointSchema).min(1, 'must name at least one server').meta({
      description:
        'Servers of one cluster, the preferred one first. The source is streamed from one of them; the others are candidates to switch to, in this order.',
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
      .array(z.enum(SINK_NAMES))
      .min(1, 'must name at least one sink')
      .optional()
      .meta({ description: 'Where the changes go. Default: every sink that is configured.' }),
    cascades: choice(
      ['refuse', 'reread'],
      'refuse',
      'Tables whose rows the server deletes or changes by foreign keys (CASCADE, SET NULL) without logging it: `refuse` them, or `reread` them after each change of a parent that can have such a consequence.',
    ),
    snapshot: snapshotSchema.prefault({}),
    switch: switchSchema.prefault({}),
    pace: paceSchema.prefault({}),
    repair: repairSchema.prefault({}),
    acceptGtids: z.string().default('').meta({
      description:
        'A GTID set that the operator answers for: transactions that only one of the servers has (with `snapshot.endpoint`), or that the log never gives (`SET GLOBAL gtid_purged`), and that changed no row of an included table. Nothing waits for them.',
    }),
    purgeWarningMs: milliseconds(
      21_600_000,
      'It is warned of when the server may remove log that was not read yet in less time than this.',
    ),
    weight: count(
      1,
      'shares',
      'How much the source counts when several DSS share the sources: each gets about the same sum.',
      { max: 1000 },
    ),
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
