import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DittoError } from '#kernel';
import { findFreePorts } from '../free-ports.ts';
import { expandServers, type MemberName, membersOf, defaultServers, type ServerName } from '../server-name.ts';
import { type DownOptions, type Endpoint, Stack, type StackOptions } from '../stack.ts';
import { type NativeStackState, readStackState, removeStackState, writeStackState } from '../stack-state.ts';
import { MariaDbServer } from './mariadb-server.ts';
import { MongoServer } from './mongo-server.ts';
import { attachReplica, MySqlServer } from './mysql-server.ts';
import { prepareRuntimes, type Runtimes } from './runtimes.ts';
import { KafkaBroker } from './kafka-broker.ts';
import { RedisServer } from './redis-server.ts';
import type { NativeServer } from './server.ts';

/** Servers as processes of this machine, from package registries. */
export class NativeStack extends Stack {
  readonly kind = 'native';
  readonly folder: string;
  readonly members: readonly MemberName[];
  readonly #servers: ReadonlyMap<MemberName, NativeServer>;
  readonly #signal: AbortSignal | undefined;

  private constructor(
    state: NativeStackState,
    folder: string,
    runtimes: () => Promise<Runtimes>,
    signal?: AbortSignal,
  ) {
    super();
    this.folder = folder;
    this.members = state.members;
    this.#signal = signal;
    this.#servers = new Map(
      state.members.map((member) => [member, createServer(member, state, folder, runtimes, signal)]),
    );
  }

  /**
   * Gets what is missing, then starts all servers; on a folder with an earlier stack it continues with that one's data.
   */
  static async start(options: StackOptions): Promise<NativeStack> {
    const write = options.onProgress ?? (() => undefined);
    const state = readNativeState(options.folder) ?? (await planStack(options));
    const runtimes = await prepareRuntimes(state.members, write, options.environment ?? process.env, options.signal);
    mkdirSync(options.folder, { recursive: true });
    writeStackState(options.folder, { ...state, cache: runtimes.cache });
    const stack = new NativeStack(state, options.folder, () => Promise.resolve(runtimes), options.signal);
    const began = performance.now();
    const stopped = stack.#stopped();
    try {
      await stack.#startAll();
    } catch (error) {
      await settleAll(stopped.map((server) => server.kill()));
      throw error;
    }
    write(`Servers are up after ${((performance.now() - began) / 1000).toFixed(1)} s.`);
    return stack;
  }

  static attach(folder: string, state: NativeStackState): NativeStack {
    let prepared: Promise<Runtimes> | null = null;
    const environment = { ...process.env, DITTO_CACHE: state.cache };
    return new NativeStack(
      state,
      folder,
      () => (prepared ??= prepareRuntimes(state.members, () => undefined, environment)),
    );
  }

  override endpoint(member: MemberName): Endpoint {
    return this.#server(member).endpoint;
  }

  override async start(server: ServerName): Promise<void> {
    await this.#each(server, (one) => one.start());
  }

  override async stop(server: ServerName): Promise<void> {
    await this.#each(server, (one) => one.stop());
  }

  override async kill(server: ServerName): Promise<void> {
    await this.#each(server, (one) => one.kill());
  }

  override async freeze(server: ServerName): Promise<void> {
    await this.#each(server, (one) => one.freeze());
  }

  override async thaw(server: ServerName): Promise<void> {
    await this.#each(server, (one) => one.thaw());
  }

  override isRunning(server: ServerName): Promise<boolean> {
    return Promise.resolve(membersOf(server, this.members).every((member) => this.#server(member).isRunning()));
  }

  override async down({ keepData = false }: DownOptions = {}): Promise<void> {
    await this.#killAll();
    if (keepData) return;
    const mongo = this.#servers.get('mongo');
    if (mongo instanceof MongoServer) mongo.removeSocketFolder();
    for (const member of this.members) rmSync(join(this.folder, member), { recursive: true, force: true });
    removeStackState(this.folder);
  }

  async #startAll(): Promise<void> {
    await settleAll(this.members.map((member) => this.#server(member).start()));
    const [primary, replica] = [this.#servers.get('mysql-primary'), this.#servers.get('mysql-replica')];
    if (primary instanceof MySqlServer && replica instanceof MySqlServer)
      await attachReplica(replica, primary, this.#signal);
  }

  #stopped(): NativeServer[] {
    return [...this.#servers.values()].filter((server) => !server.isRunning());
  }

  async #killAll(): Promise<void> {
    await settleAll([...this.#servers.values()].map((server) => server.kill()));
  }

  async #each(server: ServerName, action: (one: NativeServer) => Promise<void> | void): Promise<void> {
    await settleAll(membersOf(server, this.members).map(async (member) => action(this.#server(member))));
  }

  #server(member: MemberName): NativeServer {
    const server = this.#servers.get(member);
    if (server === undefined)
      throw new DittoError('DITTO_STACK_UNKNOWN_SERVER', `This stack has no server "${member}".`);
    return server;
  }
}

/** Waits for all before it throws the first failure, so that nothing continues in the background. */
async function settleAll(work: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(work);
  const failures = results.filter((result) => result.status === 'rejected').map(({ reason }) => reason as Error);
  if (failures.length === 1) throw failures[0] ?? new Error('unknown failure');
  if (failures.length > 1) throw new AggregateError(failures, failures.map(({ message }) => message).join('\n'));
}

function readNativeState(folder: string): NativeStackState | null {
  const state = readStackState(folder);
  if (state === null) return null;
  if (state.kind !== 'native')
    throw new DittoError('DITTO_STACK_OTHER_KIND', `The stack in ${folder} runs in Docker.`, {
      remedy: `Stop it first: npm run stack -- down --folder ${folder}`,
    });
  return state;
}

async function planStack({
  servers = defaultServers,
  kafkaBrokers = 1,
  manyPartitions = false,
  durability = 'fast',
}: StackOptions): Promise<NativeStackState> {
  const members = expandServers(servers, kafkaBrokers);
  const ports = await findFreePorts(members.length + kafkaBrokers + 1);
  return {
    kind: 'native',
    members,
    durability,
    manyPartitions,
    cache: '',
    ports: Object.fromEntries(members.map((member) => [member, ports.shift() ?? 0])),
    controllerPorts: ports.splice(0, kafkaBrokers),
    postgresPort: ports[0] ?? 0,
    password: randomBytes(12).toString('hex'),
    clusterId: randomBytes(16).toString('base64url'),
  };
}

const serverIds: Partial<Record<MemberName, number>> = {
  'mysql-primary': 1,
  'mysql-replica': 2,
  'mysql-state': 3,
  mariadb: 4,
};

function createServer(
  member: MemberName,
  state: NativeStackState,
  folder: string,
  runtimes: () => Promise<Runtimes>,
  signal?: AbortSignal,
): NativeServer {
  const { password, durability, controllerPorts, manyPartitions, clusterId, postgresPort } = state;
  const base = { folder: join(folder, member), port: state.ports[member] ?? 0, signal, runtimes };
  if (member === 'redis') return new RedisServer({ ...base, durability });
  if (member === 'mongo') return new MongoServer({ ...base, durability, password, postgresPort });
  if (member.startsWith('kafka-'))
    return new KafkaBroker({
      ...base,
      nodeId: Number(member.slice('kafka-'.length)),
      controllerPorts,
      manyPartitions,
      clusterId,
    });
  const database = { ...base, durability, password, serverId: serverIds[member] ?? 0 };
  if (member === 'mariadb') return new MariaDbServer(database);
  return new MySqlServer({
    ...database,
    binaryLog: member !== 'mysql-state',
  });
}
