import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { findFreePorts, type Stack } from '#stack';
import type { Login } from './access.ts';

export interface Ports {
  readonly dss: number;
  readonly dcs: number;
  readonly dcsRpc: number;
  readonly dws: number;
}

export interface ConfigurationFacts {
  readonly folder: string;
  readonly source: string;
  readonly databases: readonly string[];
  readonly stack: Stack;
  readonly reader: Login;
  readonly state: Login & { readonly database: string };
  readonly ports: Ports;
}

/** Writes `ditto.yaml`, with its secrets in files beside it that only the owner may read. Returns its path. */
export function writeConfiguration(facts: ConfigurationFacts): string {
  const { folder, source, databases, stack, reader, state, ports } = facts;
  const secrets = join(folder, 'secrets');
  mkdirSync(secrets, { recursive: true, mode: 0o700 });
  const secret = (name: string, text: string): { file: string } => {
    writeFileSync(join(secrets, name), text, { mode: 0o600 });
    return { file: `secrets/${name}` };
  };
  const stateServer = stack.endpoint('mysql-state');
  const servers = (['mysql-primary', 'mysql-replica'] as const).filter((server) => stack.members.includes(server));
  const password = secret('source-password', reader.password);
  const configuration = {
    sources: {
      [source]: {
        endpoints: servers.map((server) => {
          const { host, port } = stack.endpoint(server);
          return { host, port, user: reader.user, password };
        }),
        // the primary is killed while rows are written: what only it had is given up, and read again
        ...(servers.length > 1 && { switch: { onLoss: 'heal', waitMs: 1_000 } }),
        include: databases.map((database) => `${database}.*`),
        // nobody else uses these servers
        ...(stack.kind !== 'given' && { pace: { rowsPerSecond: 0 } }),
      },
    },
    kafka: { brokers: stack.url('kafka').split(',') },
    mongo: { url: secret('mongo-url', stack.url('mongo')) },
    redis: { url: secret('redis-url', stack.url('redis')), keyPrefix: source },
    state: {
      host: stateServer.host,
      port: stateServer.port,
      user: state.user,
      password: secret('state-password', state.password),
      database: state.database,
    },
    dss: { http: { port: ports.dss } },
    dcs: { http: { port: ports.dcs }, rpc: { port: ports.dcsRpc } },
    dws: { http: { port: ports.dws } },
  };
  const file = join(folder, 'ditto.yaml');
  writeFileSync(file, stringify(configuration), { mode: 0o600 });
  return file;
}

export async function findPorts(): Promise<Ports> {
  const [dss = 0, dcs = 0, dcsRpc = 0, dws = 0] = await findFreePorts(4);
  return { dss, dcs, dcsRpc, dws };
}
