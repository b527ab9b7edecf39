import { z } from 'zod';

/** Messages between DCS and its clients: one pattern, one schema of the request, one of the answer. Times are milliseconds since 1970. */

const name = z.string().min(1).max(128);
const count = z.int().min(0);

export const grantSchema = z.object({ source: name, owner: z.string().min(1).max(255), token: z.int().min(1) });

const loggedTransactionSchema = z.object({
  gtid: z.string(),
  serverUuid: z.string(),
  lineage: count,
  file: z.string(),
  offset: count,
  commitMicros: count,
  digest: z.string(),
});

export const checkpointSchema = z.object({
  source: name,
  lineage: count,
  position: z.object({ gtidSet: z.string(), file: z.string(), offset: count, serverUuid: z.string() }),
  dispatchedSet: z.string(),
  // missing in records, and from instances, of earlier versions, as the two below
  undecidedSet: z.string().default(''),
  version: z.string().regex(/^([0-9a-f]{44})?$/, 'must be empty or 44 hexadecimal digits'),
  commitMicros: count,
  lastCovered: loggedTransactionSchema.nullable().default(null),
  lastDispatched: loggedTransactionSchema.nullable().default(null),
  savedAtMs: count,
});

export const processSchema = z.object({ host: z.string().max(1000), pid: z.int(), startedTicks: count });

/** `token` is null while the lease is only reserved. */
export const leaseHolderSchema = z.object({
  source: name,
  owner: z.string(),
  token: z.int().nullable(),
  expiresInMs: count,
  /** Null where its system does not say it, and from instances of earlier versions. */
  process: processSchema.nullable().default(null),
});

/** What a service instance says about itself; `details` is its own affair. */
export const serviceStatusSchema = z.object({
  service: z.enum(['dss', 'dws', 'dcs']),
  /** Unique among all processes, also over restarts. */
  instance: z.string().min(1).max(255),
  startedAtMs: count,
  reportedAtMs: count,
  /** Base URL of its REST API; null when it has none that others can reach. */
  url: z.string().nullable(),
  details: z.record(z.string(), z.unknown()),
});

/** What a probe found at one endpoint of a source. What could not be learnt is null. */
export const serverHeartbeatSchema = z.object({
  /** `host:port` */
  endpoint: z.string().min(1).max(300),
  probedAtMs: count,
  reachable: z.boolean(),
  /** When a probe first found it so; null while it is reachable. */
  unreachableSinceMs: count.nullable(),
  error: z.string().nullable(),
  serverUuid: z.string().nullable(),
  serverVersion: z.string().nullable(),
  executedGtidSet: z.string().nullable(),
  purgedGtidSet: z.string().nullable(),
  readOnly: z.boolean().nullable(),
  superReadOnly: z.boolean().nullable(),
  /** Null on a server that is not a replica. */
  replicaLagMs: z.number().nullable(),
  roundTripMs: z.number().nullable(),
  /** The server's clock minus the prober's. */
  clockOffsetMs: z.number().nullable(),
  /** Why a replica does not follow: its last error, or which of its threads rests. */
  replicaError: z.string().nullable(),
});

/** A recent change of a row, without its values. */
export const recentChangeSchema = z.object({
  op: z.string(),
  /** The headers `ditto.id` and `ditto.version`. */
  id: z.string(),
  version: z.string(),
  gtid: z.string().nullable(),
  commitMs: count,
  publishedMs: count,
  topic: z.string(),
  partition: count,
  offset: count,
});

export type RecentChange = z.output<typeof recentChangeSchema>;
export type LeaseHolder = z.output<typeof leaseHolderSchema>;
export type ServiceStatus = z.output<typeof serviceStatusSchema>;
export type ServerHeartbeat = z.output<typeof serverHeartbeatSchema>;

const ttlMs = z.int().min(100).max(86_400_000);
const nothing = z.object({});

export const dcsContract = {
  /** A grant with a new token, or null and who holds the lease (null too when it has just become free). */
  acquireLease: {
    pattern: 'dcs.leases.acquire',
    request: z.object({
      source: name,
      owner: z.string().min(1).max(255),
      ttlMs,
      /** Grows with each message of an owner: one that arrives after a later one is refused. 0: not counted. */
      attempt: count.default(0),
      /** Of the owner, as others on its machine can find it. */
      process: processSchema.nullable().default(null),
      /** A holder whose process is proven to have ended: its lease is taken over if it still has this token. */
      ended: z
        .object({ owner: z.string().min(1).max(255), token: z.int().min(1) })
        .nullable()
        .default(null),
    }),
    answer: z.object({ grant: grantSchema.nullable(), holder: leaseHolderSchema.nullable() }),
  },
  renewLease: {
    pattern: 'dcs.leases.renew',
    request: z.object({ grant: grantSchema, ttlMs }),
    answer: z.object({ renewed: z.boolean() }),
  },
  releaseLease: {
    pattern: 'dcs.leases.release',
    request: z.object({
      grant: grantSchema,
      /** The owner that gets it next: it is kept for this one so long. */
      handOver: z
        .object({ to: z.string().min(1).max(255), ttlMs })
        .nullable()
        .default(null),
    }),
    answer: z.object({ released: z.boolean() }),
  },
  listLeases: {
    pattern: 'dcs.leases.list',
    request: nothing,
    answer: z.object({ leases: z.array(leaseHolderSchema) }),
  },
  putOffset: {
    pattern: 'dcs.offsets.put',
    request: z.object({ grant: grantSchema, checkpoint: checkpointSchema }),
    /** `late`: a newer one of the same owner was there; nothing changed. */
    answer: z.object({ outcome: z.enum(['stored', 'late']) }),
  },
  getOffset: {
    pattern: 'dcs.offsets.get',
    request: z.object({ source: name }),
    /** Token 0: from an instance of an earlier version, which does not say it. */
    answer: z.object({ token: count.default(0), checkpoint: checkpointSchema.nullable() }),
  },
  reportService: {
    pattern: 'dcs.services.report',
    request: z.object({ status: serviceStatusSchema, ttlMs }),
    answer: nothing,
  },
  listServices: {
    pattern: 'dcs.services.list',
    request: nothing,
    answer: z.object({ services: z.array(serviceStatusSchema) }),
  },
  reportServers: {
    pattern: 'dcs.servers.report',
    request: z.object({ source: name, heartbeats: z.array(serverHeartbeatSchema), ttlMs }),
    answer: nothing,
  },
  listServers: {
    pattern: 'dcs.servers.list',
    request: z.object({ source: name }),
    answer: z.object({ heartbeats: z.array(serverHeartbeatSchema) }),
  },
  findChanges: {
    pattern: 'dcs.events.find',
    request: z.object({
      source: name,
      /** `database.table` */
      table: z.string().min(1).max(300),
      /** The message key, `{"id":1}`. */
      key: z.string().min(1).max(100_000),
      limit: z.int().min(1).max(100),
    }),
    answer: z.object({
      /** Whether the window is kept at all. */
      isKept: z.boolean(),
      /** False when changes may be missing among these. */
      isComplete: z.boolean(),
      /** Newest first. */
      changes: z.array(recentChangeSchema),
    }),
  },
} as const satisfies Record<
  string,
  { readonly pattern: string; readonly request: z.ZodType; readonly answer: z.ZodType }
>;

export type DcsCall = keyof typeof dcsContract;
export type DcsRequest<Call extends DcsCall> = z.output<(typeof dcsContract)[Call]['request']>;
export type DcsAnswer<Call extends DcsCall> = z.output<(typeof dcsContract)[Call]['answer']>;
