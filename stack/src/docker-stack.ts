import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DittoError } from '#kernel';
import { canRun, runCommand } from './command.ts';
import { findFreePorts } from './free-ports.ts';
import { defaultServers, expandServers, type MemberName, membersOf, type ServerName } from './server-name.ts';
import { type DownOptions, type Endpoint, Stack, type StackOptions } from './stack.ts';
import { type DockerStackState, readStackState, removeStackState, writeStackState } from './stack-state.ts';

export const composeFile = join(import.meta.dirname, '../../docker-compose.yml');

/** Compose service, port variable and administrator of each member, as `docker-compose.yml` has them. */
export const composeServices: Readonly<
  Record<MemberName, { service: string; portVariable: string; user: string | null }>
> = {
  'mysql-primary': { service: 'mysql-source-primary', portVariable: 'DITTO_MYSQL_PRIMARY_PORT', user: 'root' },
  'mysql-replica': { service: 'mysql-source-replica', portVariable: 'DITTO_MYSQL_REPLICA_PORT', user: 'root' },
  'mysql-state': { service: 'mysql-state', portVariable: 'DITTO_MYSQL_STATE_PORT', user: 'root' },
  'kafka-1': { service: 'kafka', portVariable: 'DITTO_KAFKA_PORT', user: null },
  'kafka-2': { service: 'kafka-2', portVariable: 'DITTO_KAFKA_2_PORT', user: null },
  'kafka-3': { service: 'kafka-3', portVariable: 'DITTO_KAFKA_3_PORT', user: null },
  mongo: { service: 'mongo', portVariable: 'DITTO_MONGO_PORT', user: 'ditto' },
  redis: { service: 'redis', portVariable: 'DITTO_REDIS_PORT', user: null },
  mariadb: { service: 'mariadb', portVariable: 'DITTO_MARIADB_PORT', user: 'root' },
};

/** Whether an engine with the compose plugin answers within 3 s. */
export async function canReachDocker(): Promise<boolean> {
  return (await canRun('docker', ['info'], 3_000)) && canRun('docker', ['compose', 'version'], 3_000);
}

/** What the compose file leaves open, for one stack. */
export function composeEnvironment(state: DockerStackState): Record<string, string> {
  const voters = ['1@kafka:9093', '2@kafka-2:9093', '3@kafka-3:9093'].slice(0, state.kafkaBrokers);
  return {
    DITTO_SERVER_PASSWORD: state.password,
    // of the services, which are not started here; the file asks for it all the same
    DITTO_TOKEN: state.password,
    DITTO_KAFKA_CLUSTER_ID: state.clusterId,
    DITTO_KAFKA_VOTERS: voters.join(','),
    DITTO_KAFKA_REPLICAS: `${state.kafkaBrokers}`,
    DITTO_KAFKA_IN_SYNC: state.kafkaBrokers === 3 ? '2' : '1',
    // why: native/kafka-properties.ts
    DITTO_KAFKA_HEAP: state.manyPartitions ? '1g' : '256m',
    DITTO_KAFKA_INDEX_BYTES: state.manyPartitions ? '4096' : '10485760',
    DITTO_KAFKA_REGISTRATION_MS: state.manyPartitions ? '600000' : '60000',
    ...Object.fromEntries(
      state.members.map((member) => [composeServices[member].portVariable, `${state.ports[member] ?? 0}`]),
    ),
  };
}

/** Servers as containers of one compose project; `durability` is the images' own. */
export class DockerStack extends Stack {
  readonly kind = 'docker';
  readonly folder: string;
  readonly members: readonly MemberName[];
  readonly #state: DockerStackState;
  readonly #write: (line: string) => void;

  private constructor(state: DockerStackState, folder: string, write: (line: string) => void) {
    super();
    this.folder = folder;
    this.members = state.members;
    this.#state = state;
    this.#write = write;
  }

  static async start(options: StackOptions): Promise<DockerStack> {
    const write = options.onProgress ?? (() => undefined);
    const earlier = readStackState(options.folder);
    const state = earlier?.kind === 'docker' ? earlier : await planStack(options);
    mkdirSync(options.folder, { recursive: true });
    writeStackState(options.folder, state);
    const stack = new DockerStack(state, options.folder, write);
    write('Docker: getting images and starting containers');
    try {
      await stack.#up(stack.members, options.signal);
    } catch (error) {
      await stack.#compose(['down', '--timeout', '0', ...(earlier === null ? ['--volumes'] : [])]);
      throw error;
    }
    return stack;
  }

  static attach(folder: string, state: DockerStackState): DockerStack {
    return new DockerStack(state, folder, () => undefined);
  }

  override endpoint(member: MemberName): Endpoint {
    const { user } = composeServices[member];
    const port = this.#state.ports[member];
    if (port === undefined) throw new DittoError('DITTO_STACK_UNKNOWN_SERVER', `This stack has no server "${member}".`);
    return { host: '127.0.0.1', port, user, password: user === null ? null : this.#state.password };
  }

  override async start(server: ServerName): Promise<void> {
    await this.#up(membersOf(server, this.members));
  }

  override async stop(server: ServerName): Promise<void> {
    await this.#onServices('stop', server);
  }

  override async kill(server: ServerName): Promise<void> {
    await this.#onServices('kill', server);
  }

  override async freeze(server: ServerName): Promise<void> {
    await this.#onServices('pause', server);
  }

  override async thaw(server: ServerName): Promise<void> {
    await this.#onServices('unpause', server);
  }

  override async isRunning(server: ServerName): Promise<boolean> {
    const running = (await this.#compose(['ps', '--services', '--status', 'running'])).split('\n');
    return membersOf(server, this.members).every((member) => running.includes(composeServices[member].service));
  }

  override async down({ keepData = false }: DownOptions = {}): Promise<void> {
    // all profiles, so that the second and third broker go too
    await this.#compose(['--profile', '*', 'down', '--timeout', '0', ...(keepData ? [] : ['--volumes'])]);
    if (!keepData) removeStackState(this.folder);
  }

  async #up(members: readonly MemberName[], signal?: AbortSignal): Promise<void> {
    const services = members.map((member) => composeServices[member].service);
    await this.#compose(['up', '--detach', '--wait', '--no-recreate', ...services], signal);
  }

  async #onServices(command: string, server: ServerName): Promise<void> {
    await this.#compose([command, ...membersOf(server, this.members).map((member) => composeServices[member].service)]);
  }

  #compose(args: readonly string[], signal?: AbortSignal): Promise<string> {
    return runCommand(
      'docker',
      ['compose', '--ansi', 'never', '--project-name', this.#state.project, '--file', composeFile, ...args],
      {
        environment: { ...process.env, ...composeEnvironment(this.#state) },
        onLine: (line) => this.#write(`Docker: ${line.trim()}`),
        signal,
      },
    );
  }
}

async function planStack({
  servers = defaultServers,
  kafkaBrokers = 1,
  manyPartitions = false,
}: StackOptions): Promise<DockerStackState> {
  const members = expandServers(servers, kafkaBrokers);
  const ports = await findFreePorts(members.length);
  return {
    kind: 'docker',
    members,
    project: `ditto-${randomBytes(5).toString('hex')}`,
    kafkaBrokers,
    manyPartitions,
    ports: Object.fromEntries(members.map((member, index) => [member, ports[index] ?? 0])),
    password: randomBytes(12).toString('hex'),
    clusterId: randomBytes(16).toString('base64url'),
  };
}
