import { DittoError } from '#kernel';
import { type MemberName, type ServerName } from './server-name.ts';
import { type Endpoint, Stack } from './stack.ts';

/** Environment variables that name running servers; Kafka takes several addresses, `host:port,host:port`. */
export const URL_VARIABLES = {
  'mysql-primary': 'DITTO_STACK_MYSQL_PRIMARY_URL',
  'mysql-replica': 'DITTO_STACK_MYSQL_REPLICA_URL',
  'mysql-state': 'DITTO_STACK_MYSQL_STATE_URL',
  kafka: 'DITTO_STACK_KAFKA_URL',
  mongo: 'DITTO_STACK_MONGO_URL',
  redis: 'DITTO_STACK_REDIS_URL',
  mariadb: 'DITTO_STACK_MARIADB_URL',
} as const satisfies Partial<Record<ServerName, string>>;

type GivenName = keyof typeof URL_VARIABLES;

/** Servers that somebody else runs: they can be used, not started, stopped or broken. */
export class GivenStack extends Stack {
  readonly kind = 'given';
  readonly folder: string;
  readonly members: readonly MemberName[];
  readonly #endpoints: ReadonlyMap<MemberName, Endpoint>;
  readonly #urls: ReadonlyMap<GivenName, string>;

  constructor(folder: string, urls: ReadonlyMap<GivenName, string>) {
    super();
    this.folder = folder;
    this.#urls = urls;
    this.#endpoints = new Map([...urls].flatMap(([name, url]) => parseEndpoints(name, url)));
    this.members = [...this.#endpoints.keys()];
  }

  /** The URLs exactly as given: their options (TLS, replica set) matter. */
  override url(server: ServerName): string {
    const given = this.#urls.get(server as GivenName);
    return given ?? super.url(server);
  }

  override endpoint(member: MemberName): Endpoint {
    const endpoint = this.#endpoints.get(member);
    if (endpoint === undefined) throw new DittoError('DITTO_STACK_UNKNOWN_SERVER', `No URL was given for "${member}".`);
    return endpoint;
  }

  override start(server: ServerName): Promise<void> {
    return this.#refuse('start', server);
  }

  override stop(server: ServerName): Promise<void> {
    return this.#refuse('stop', server);
  }

  override kill(server: ServerName): Promise<void> {
    return this.#refuse('kill', server);
  }

  override freeze(server: ServerName): Promise<void> {
    return this.#refuse('freeze', server);
  }

  override thaw(server: ServerName): Promise<void> {
    return this.#refuse('thaw', server);
  }

  override isRunning(): Promise<boolean> {
    return Promise.resolve(true);
  }

  override down(): Promise<void> {
    return Promise.resolve();
  }

  #refuse(action: string, server: ServerName): Promise<never> {
    return Promise.reject(
      new DittoError('DITTO_STACK_GIVEN_SERVER', `"${server}" was given by URL; it is not this stack's to ${action}.`, {
        context: { server, action },
        remedy: 'Unset the DITTO_STACK_*_URL variables to have servers that may be broken.',
      }),
    );
  }
}

/**
 * Null when the environment gives no URL at all. When it gives some, every asked server must have one:
 * `DITTO_STACK_URL_MISSING` names those that lack it, `DITTO_STACK_URL_INVALID` those that can't be read.
 */
export function readGivenUrls(
  servers: readonly ServerName[] | 'those given',
  environment: NodeJS.ProcessEnv,
): Map<GivenName, string> | null {
  const given = (name: GivenName): string => environment[URL_VARIABLES[name]]?.trim() ?? '';
  const names = Object.keys(URL_VARIABLES) as GivenName[];
  if (names.every((name) => given(name) === '')) return null;
  const asked = new Set(
    servers === 'those given'
      ? names.filter((name) => given(name) !== '')
      : servers.map((server) => (server.startsWith('kafka') ? 'kafka' : server) as GivenName),
  );
  const missing = [...asked].filter((name) => given(name) === '').map((name) => URL_VARIABLES[name]);
  if (missing.length > 0)
    throw new DittoError(
      'DITTO_STACK_URL_MISSING',
      `Some servers are given by URL; these variables are missing: ${missing.join(', ')}.`,
      {
        context: { missing },
        remedy: 'Set all of them, or none to have the servers started.',
      },
    );
  const urls = new Map([...asked].map((name) => [name, given(name)]));
  for (const [name, url] of urls) parseEndpoints(name, url);
  return urls;
}

const schemes: Readonly<Record<Exclude<GivenName, 'kafka'>, { protocols: readonly string[]; port: number }>> = {
  'mysql-primary': { protocols: ['mysql:'], port: 3306 },
  'mysql-replica': { protocols: ['mysql:'], port: 3306 },
  'mysql-state': { protocols: ['mysql:'], port: 3306 },
  mongo: { protocols: ['mongodb:', 'mongodb+srv:'], port: 27_017 },
  redis: { protocols: ['redis:', 'rediss:'], port: 6379 },
  mariadb: { protocols: ['mysql:'], port: 3306 },
};

function parseEndpoints(name: GivenName, url: string): [MemberName, Endpoint][] {
  if (name === 'kafka') return parseBrokers(url);
  // a list of MongoDB hosts isn't a URL to the parser; its first host represents the set
  const single = name === 'mongo' ? url.replace(/,[^/?]*/, '') : url;
  const parsed = URL.canParse(single) ? new URL(single) : null;
  const { protocols, port } = schemes[name];
  if (parsed === null || !protocols.includes(parsed.protocol) || parsed.hostname === '')
    throw invalidUrl(name, `${protocols[0] ?? ''}//user:password@host:port`);
  const decode = (text: string): string | null => (text === '' ? null : decodeURIComponent(text));
  const host = parsed.hostname.replace(/^\[|\]$/g, '');
  return [
    [
      name,
      {
        host,
        port: parsed.port === '' ? port : Number(parsed.port),
        user: decode(parsed.username),
        password: decode(parsed.password),
      },
    ],
  ];
}

function parseBrokers(addresses: string): [MemberName, Endpoint][] {
  const brokers = addresses.split(',').map((address) => /^(.+):(\d+)$/.exec(address.trim()));
  if (brokers.some((broker) => broker === null)) throw invalidUrl('kafka', 'host:port,host:port');
  const members = ['kafka-1', 'kafka-2', 'kafka-3'] as const;
  return members.flatMap((member, index): [MemberName, Endpoint][] => {
    const broker = brokers[index];
    return broker?.[1] === undefined
      ? []
      : [[member, { host: broker[1], port: Number(broker[2]), user: null, password: null }]];
  });
}

function invalidUrl(name: GivenName, shape: string): DittoError {
  return new DittoError('DITTO_STACK_URL_INVALID', `${URL_VARIABLES[name]} is not of the form ${shape}.`, {
    context: { variable: URL_VARIABLES[name] },
  });
}
