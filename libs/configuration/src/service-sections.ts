import { z } from 'zod';
import { isCronExpression } from './cron-expression.ts';
import { tlsSchema } from './tls-section.ts';
import { bytes, choice, count, flag, hostPort, httpUrl, milliseconds, port, secret, text, textOr } from './options.ts';

function listenAddress(defaultPort: number) {
  return {
    host: textOr(
      '127.0.0.1',
      'Address to listen on, or a name, of which the first address is taken; one that is not loopback needs a token in `auth`.',
    ),
    port: port(defaultPort, 'TCP port.'),
  };
}

const serverTlsSchema = z
  .strictObject({
    cert: text('Certificate (PEM) of the server; usually `{ file: … }`.'),
    key: secret('Private key (PEM) of the certificate.'),
    ca: text('Authority (PEM) of client certificates; when given, clients must have one.').optional(),
  })
  .meta({ description: 'Encrypt connections; plain ones are refused then.' });

function httpListener(defaultPort: number) {
  return z
    .strictObject({
      ...listenAddress(defaultPort),
      advertise: httpUrl(
        'URL at which others reach it, as reported to DCS; for example of a proxy. Default: made of `host` and `port`, with the name of the machine where `host` is all addresses.',
      ).optional(),
      tls: serverTlsSchema.optional(),
    })
    .meta({ description: 'Where the REST API listens.' })
    .prefault({});
}

const rpcListener = z
  .strictObject({
    ...listenAddress(7502),
    tls: serverTlsSchema.optional(),
    maxMessageBytes: bytes('2 MiB', 65_536, 'Larger messages are refused before they are read.'),
    maxConnections: count(256, 'connections', 'One more ends the oldest that has not shown a token.', { max: 65_536 }),
  })
  .meta({ description: 'Where the RPC server listens.' })
  .prefault({});

const shutdownDeadlineMs = milliseconds(15_000, 'After this long an orderly shutdown is cut off.', { min: 1000 });

export const LEASE_DEFAULTS = { ttlMs: 6000, renewMs: 1500 } as const;

export const dssSchema = z
  .strictObject({
    http: httpListener(7401),
    lease: z
      .strictObject({
        ttlMs: milliseconds(LEASE_DEFAULTS.ttlMs, 'How long the right to run a source lasts without renewal.', {
          min: 1000,
        }),
        renewMs: milliseconds(LEASE_DEFAULTS.renewMs, 'How often it is renewed; at most a third of `ttlMs`.', {
          min: 100,
        }),
      })
      .meta({ description: 'The right to run a source.' })
      .prefault({}),
    checkpoint: z
      .strictObject({
        dcsIntervalMs: milliseconds(200, 'How often the checkpoint is sent to DCS.', { min: 10 }),
        stateIntervalMs: milliseconds(1000, 'How often it is stored in the state database.', { min: 100 }),
      })
      .meta({ description: 'How often progress is stored.' })
      .prefault({}),
    inFlightBytes: bytes(
      '8 MiB',
      1_048_576,
      'Bound on the memory that the changes of one source hold from being read until they are confirmed.',
    ),
    shutdownDeadlineMs,
  })
  .meta({ description: 'DSS, the synchronize service.' });

export const dcsSchema = z
  .strictObject({
    http: httpListener(7402),
    rpc: rpcListener,
    endpoints: z.array(hostPort('`host:port`.')).min(1, 'must name at least one instance').optional().meta({
      description:
        'RPC addresses of the DCS instances, as `host:port`, for DSS and DWS. Default: the address in `rpc`.',
    }),
    tls: tlsSchema.optional().meta({
      description: 'How DSS and DWS check the certificate of DCS. Default: as `tls: {}` when `rpc.tls` is given.',
    }),
    timeoutMs: milliseconds(2000, 'How long DSS and DWS wait for an answer.', { min: 50 }),
    recentEvents: z
      .strictObject({
        enabled: flag(true, 'Keep a window of recent changes for `GET /events`; needs Kafka.'),
        perTable: count(1000, 'events', 'Most changes kept for each table.', { max: 1_000_000 }),
        maxAgeMs: milliseconds(3_600_000, 'Older changes are forgotten.', { min: 1000 }),
        maxEventsPerSecond: count(2000, 'events/s', 'Above this rate only a sample is kept.', { max: 1_000_000 }),
      })
      .meta({ description: 'The window of recent changes.' })
      .prefault({}),
    shutdownDeadlineMs,
  })
  .meta({ description: 'DCS, the cache service.' });

export const dwsSchema = z
  .strictObject({
    http: httpListener(7403),
    probeIntervalMs: milliseconds(2000, 'How often each endpoint of each source is probed.', { min: 100 }),
    sweepIntervalMs: milliseconds(
      3_600_000,
      'How often old tombstones are removed from the mirror, and old records from the state database.',
      { min: 1000 },
    ),
    repairIntervalMs: milliseconds(2000, 'How often it is looked for rows to repair, and how far their repairs are.', {
      min: 100,
    }),
    retryIntervalMs: milliseconds(2000, 'How often it is looked for failed events whose row is to be read again.', {
      min: 100,
    }),
    concurrency: count(
      4,
      'probes',
      'Probes that one worker runs at the same time; sweeps run one by one beside them.',
      { max: 256 },
    ),
    folds: z
      .strictObject({
        folder: text(
          'Folder on a local disk; workers may share it, and each removes what is its own when it ends, and what dead ones have left when it starts. Default: `ditto-folds` in the temporary folder of the system.',
        ).optional(),
        maxBytes: bytes(
          '10 GiB',
          16 * 1024 * 1024,
          'Bound on the disk space of all of them together. A topic whose newest messages do not fit is not verified.',
        ),
      })
      .meta({
        description: 'Local copies of the newest message of each key, with which the topics of Kafka are verified.',
      })
      .prefault({}),
    shutdownDeadlineMs,
  })
  .meta({ description: 'DWS, the worker service.' });

export const failedEventsSchema = z
  .strictObject({
    mostKeys: count(
      1000,
      'rows',
      'Rows of one table that a sink may have refused; the source stops at the next one. 0: it stops at the first.',
      { min: 0, max: 100_000 },
    ),
    retryInitialMs: milliseconds(
      5000,
      'How long after a sink has refused a row it is read again and tried. Doubles with each attempt.',
      { min: 100 },
    ),
    retryMaxMs: milliseconds(300_000, 'The longest time between two attempts.', { min: 100 }),
  })
  .meta({ description: 'Rows that a sink refuses: their changes are held back, and they are tried again.' });

export const verificationSchema = z
  .strictObject({
    schedule: z
      .string()
      .refine(
        isCronExpression,
        'must be a cron expression of five fields (minute, hour, day of the month, month, day of the week)',
      )
      .optional()
      .meta({
        description:
          'Cron expression of five fields (UTC), as `0 3 * * 0`: a run of every source then, unless one is under way. Default: none.',
      }),
    continuousRowsPerSecond: count(
      0,
      'rows/s',
      'Verify every source all the time, at most so many rows per second of each; 0 is off.',
      { min: 0, max: 10_000_000 },
    ),
    recent: z
      .strictObject({
        enabled: z.boolean().optional().meta({
          description:
            'Verify rows soon after they have changed. Default: while `verification.continuousRowsPerSecond` is not 0.',
        }),
        rowsPerSecond: count(
          500,
          'rows/s',
          'Rows of a source that one worker verifies so in a second, in all of its sinks together; at most half of `pace.rowsPerSecond` of the source. Of more a random sample is verified.',
          { max: 1_000_000 },
        ),
        settleMs: milliseconds(1000, 'A row is verified when it has not changed for so long.', {
          min: 100,
          max: 30_000,
        }),
        consumerGroup: text(
          'Consumer group in which the workers follow the topics of Kafka. Default: `<redis.keyPrefix>-dws-recent-changes`.',
        ).optional(),
      })
      .meta({ description: 'Verification of rows that changed recently.' })
      .prefault({}),
    gaps: z
      .strictObject({
        intervalMs: milliseconds(
          60_000,
          'How often it is looked whether the topics have a message of each change of the log; 0 is off.',
          { min: 0 },
        ),
        maxBytes: bytes(
          '16 MiB',
          65_536,
          'Of the log of a source, how much is read each time, in five seconds at most. What is more is left out.',
        ),
      })
      .meta({ description: 'Search for changes of the log that the topics of Kafka have no message of.' })
      .prefault({}),
    keepDays: count(
      30,
      'days',
      'Ended runs, repairs, mismatches, requested reads and failed events are removed after so many days, every `dws.sweepIntervalMs`.',
      { max: 3650 },
    ),
    chunkRows: count(
      10_000,
      'rows',
      'Most rows that are read and compared at once; fewer where they take more than `chunkBytes`, or longer than `pace.queryMs`.',
      { min: 10, max: 100_000 },
    ),
    chunkBytes: bytes('4 MiB', 65_536, 'Bound on the memory of the rows of one chunk.'),
    concurrency: count(4, 'chunks', 'Chunks that one worker verifies at the same time.', { max: 64 }),
    attempts: count(5, 'reads', 'A row that changed during so many reads is compared with the change that it names.', {
      min: 2,
      max: 100,
    }),
    secondWayShare: z.number().min(0, 'must be from 0 to 1').max(1, 'must be from 0 to 1').default(0.01).meta({
      description:
        'Share of the rows, from 0 to 1, that are also compared a second way, which shares no code with the first. Random ones; 1 is all of them, 0 turns it off.',
    }),
    waitLimitMs: milliseconds(
      600_000,
      'A table that can not be judged for so long (the source stands still, a copy is not complete) is given up by the run.',
      { min: 1000 },
    ),
  })
  .meta({ description: 'How DWS compares the sinks with the sources.' });

export const ROLES = ['read', 'operate'] as const;
export type Role = (typeof ROLES)[number];

const tokenSchema = z
  .strictObject({
    name: text('Who uses the token; operator actions are recorded under this name.'),
    token: z
      .string()
      .min(16, 'must have at least 16 characters')
      .regex(
        /^[\w.~+/-]+=*$/,
        'must have only letters, digits and - . _ ~ + / (and = at its end): a bearer token can carry nothing else',
      )
      .pipe(secret('The token.'))
      .meta({
        description: 'The token, at least 16 characters; for example from `openssl rand -hex 32`.',
        secret: true,
      }),
    roles: z
      .array(z.enum(ROLES))
      .min(1, 'must name at least one role')
      .default(['read'])
      .meta({ description: '`read` looks, `operate` acts (and looks).' }),
  })
  .meta({ description: 'One bearer token.' });

export const authSchema = z
  .strictObject({
    tokens: z
      .array(tokenSchema)
      .default([])
      .meta({ description: 'Bearer tokens for REST and RPC. Without one the services listen on loopback only.' }),
    hosts: z.array(z.string().min(1, 'must not be empty').toLowerCase()).default([]).meta({
      description:
        'Names, without port, by which the services may be asked for while there is no token, in addition to the names of loopback.',
    }),
    rpcToken: text(
      'Name of the token that DSS and DWS show to DCS; it needs the role `operate`. Default: the first that has it.',
    ).optional(),
  })
  .meta({ description: 'Who may use REST and RPC.' });

export const auditSchema = z
  .strictObject({
    keepDays: count(
      400,
      'days',
      'Entries are removed so many days after what they record was done last, every `dws.sweepIntervalMs`.',
      { max: 36_500 },
    ),
  })
  .meta({ description: 'The record of what operators did and what Ditto decided by itself.' });

export const logSchema = z
  .strictObject({
    level: choice(
      ['debug', 'info', 'warn', 'error', 'silent'],
      'info',
      'Least important lines that are still written.',
    ),
  })
  .meta({ description: 'Logs, as JSON lines on standard output.' });
