import { type KafkaBrokerCount, type MemberName, membersOf, type ServerName } from './server-name.ts';

/** Where a server listens and who may do everything there. `user` is null where the server asks for none. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly user: string | null;
  readonly password: string | null;
}

/**
 * How much a stopped machine may lose. `fast` survives SIGKILL of any server without losing an acknowledged write, but
 * not a power cut; `crash-safe` survives both and is several times slower.
 */
export type Durability = 'fast' | 'crash-safe';

export interface StackOptions {
  /** Folder for the data of this stack; made if missing. One stack per folder. */
  readonly folder: string;
  /** Default: `defaultServers`. */
  readonly servers?: readonly ServerName[];
  /** Default: 1. */
  readonly kafkaBrokers?: KafkaBrokerCount;
  /** Whether a broker is to hold thousands of partitions: more memory, and minutes to come up after a crash. Default: no. */
  readonly manyPartitions?: boolean;
  /** Default: `fast`. */
  readonly durability?: Durability;
  readonly onProgress?: (line: string) => void;
  /** Ends the start; what was started until then is stopped again. */
  readonly signal?: AbortSignal;
  /** Default: `process.env`. */
  readonly environment?: NodeJS.ProcessEnv;
}

export interface DownOptions {
  /** Stops the servers but leaves the data folder, so that a later start continues with it. */
  readonly keepData?: boolean;
}

/**
 * Running servers for demo, tests and bench. Every call resolves when the server has reached the state: a started
 * server answers requests, a killed one is gone. Data and ports survive `stop`, `kill` and `restart`.
 *
 * Servers outlive the process that started them; only `down` ends them. Calls for one server must not overlap.
 */
export abstract class Stack {
  abstract readonly kind: 'given' | 'docker' | 'native';
  abstract readonly folder: string;
  abstract readonly members: readonly MemberName[];

  /** Address and administrator of one member. */
  abstract endpoint(member: MemberName): Endpoint;
  /** Starts a stopped or killed server; does nothing for a running one. */
  abstract start(server: ServerName): Promise<void>;
  /** Orderly stop. A MySQL primary with a replica takes about 12 s. */
  abstract stop(server: ServerName): Promise<void>;
  /** SIGKILL, as a crash. */
  abstract kill(server: ServerName): Promise<void>;
  /** SIGSTOP: connections stay open and nothing answers. */
  abstract freeze(server: ServerName): Promise<void>;
  abstract thaw(server: ServerName): Promise<void>;
  abstract isRunning(server: ServerName): Promise<boolean>;
  /** Ends every server of this stack at once and deletes its data. Given servers are left alone. */
  abstract down(options?: DownOptions): Promise<void>;

  /** `stop`, then `start`. */
  async restart(server: ServerName): Promise<void> {
    await this.stop(server);
    await this.start(server);
  }

  endpoints(server: ServerName): Endpoint[] {
    return membersOf(server, this.members).map((member) => this.endpoint(member));
  }

  /** `mysql://user:password@host:port`, `mongodb://…`, `redis://…`; for Kafka `host:port,host:port`. */
  url(server: ServerName): string {
    const members = membersOf(server, this.members);
    return members.map((member) => formatUrl(member, this.endpoint(member))).join(',');
  }

  /** The URL of every server; all Kafka brokers are under `kafka`. */
  urls(): Partial<Record<ServerName, string>> {
    const names = new Set(this.members.map((member): ServerName => (member.startsWith('kafka-') ? 'kafka' : member)));
    return Object.fromEntries([...names].map((name) => [name, this.url(name)]));
  }
}

function formatUrl(member: MemberName, { host, port, user, password }: Endpoint): string {
  const address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  if (member.startsWith('kafka-')) return address;
  const login =
    user === null && password === null
      ? ''
      : `${encodeURIComponent(user ?? '')}:${encodeURIComponent(password ?? '')}@`;
  if (member === 'mongo') return `mongodb://${login}${address}/`;
  return `${member === 'redis' ? 'redis' : 'mysql'}://${login}${address}`;
}
