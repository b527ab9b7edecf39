import { type Stack } from '#stack';
import { type Login } from '../demo/access.ts';
import { type Ports } from '../demo/configuration.ts';
import { type BenchOptions } from './options.ts';

/** One bulk write at most; the same in the bare loop that DSS is compared with. Ditto's default. */
export const MONGO_BATCH_OPERATIONS = 1000;

/** Rows per second that no machine reads. */
const UNBOUNDED = 10_000_000;

export interface ConfigurationFacts {
  readonly source: string;
  readonly database: string;
  readonly options: BenchOptions;
  readonly snapshot: 'windowed' | 'none';
  readonly stack: Stack;
  readonly ports: Ports;
  readonly reader: Login;
  readonly state: Login & { readonly database: string };
}

/** They take from the two cores, and would be measured along; a deployment has them unless it switches them off. */
export function hasRecentEvents({ command }: BenchOptions): boolean {
  return command === 'idle';
}

/** Whether the source has a second endpoint, which is waited for. */
export function hasReplica(options: BenchOptions): boolean {
  return options.command === 'latency' && options.dispatchAfter === 'replicated';
}

/** What `ditto.yaml` says for one run: one source with one table, and the sinks that are measured. */
export function describeConfiguration(facts: ConfigurationFacts): Readonly<Record<string, unknown>> {
  const { source, database, options, stack, ports, state } = facts;
  const [primary, stateServer] = [stack.endpoint('mysql-primary'), stack.endpoint('mysql-state')];
  const servers = hasReplica(options) ? [primary, stack.endpoint('mysql-replica')] : [primary];
  const { sinks, partitions, compression, client, fencing, inFlightBytes, lanes, chunkRows } = options;
  return {
    sources: {
      [source]: {
        endpoints: servers.map(({ host, port }) => ({ host, port, ...facts.reader })),
        ...(hasReplica(options) && { switch: { dispatchAfter: 'replicated' } }),
        include: [`${database}.*`],
        snapshot: { mode: facts.snapshot, chunkRows },
        ...(options.command === 'verify' && { pace: { rowsPerSecond: UNBOUNDED } }),
      },
    },
    ...(sinks.includes('kafka') && {
      kafka: {
        brokers: stack.url('kafka').split(','),
        topics: { partitions },
        compression,
        client,
        ...(fencing && { fencing }),
      },
    }),
    ...(sinks.includes('mongo') && {
      mongo: { url: stack.url('mongo'), lanes, maxBatchOperations: MONGO_BATCH_OPERATIONS },
    }),
    redis: { url: stack.url('redis'), keyPrefix: source },
    state: { host: stateServer.host, port: stateServer.port, ...state },
    dss: { http: { port: ports.dss }, inFlightBytes },
    dcs: {
      http: { port: ports.dcs },
      rpc: { port: ports.dcsRpc },
      recentEvents: { enabled: hasRecentEvents(options) },
    },
    dws: { http: { port: ports.dws } },
  };
}
