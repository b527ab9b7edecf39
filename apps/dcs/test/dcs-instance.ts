import { type NestFastifyApplication } from '@nestjs/platform-fastify';
import { parseConfig } from '#configuration';
import { configureLogging, createService } from '#platform';
import { findFreePorts } from '#stack';
import { testStack, uniqueName } from '#testing';
import { dcsService } from '../src/service.ts';

export const OPERATE_TOKEN = 'operate-operate-operate';
export const READ_TOKEN = 'read-read-read-read';

/** What the instances of one deployment share. */
export interface Deployment {
  readonly keyPrefix: string;
  readonly database: string;
  readonly source: string;
  readonly redisUrl: string;
  readonly state: { readonly host: string; readonly port: number; readonly user: string; readonly password: string };
  readonly kafka: { readonly brokers: readonly string[]; readonly recentEvents: object } | null;
}

export async function createDeployment(change: Partial<Deployment> = {}): Promise<Deployment> {
  const stack = await testStack();
  const { host, port, user, password } = stack.endpoint('mysql-state');
  const state = { host, port, user: user ?? '', password: password ?? '' };
  const names = { keyPrefix: uniqueName('dcs'), database: uniqueName('state'), source: uniqueName('shop') };
  return { ...names, redisUrl: stack.url('redis'), state, kafka: null, ...change };
}

/** One DCS in this process, on ports of its own. */
export class DcsInstance {
  readonly rpc: { readonly host: string; readonly port: number };
  readonly #app: NestFastifyApplication;
  readonly #httpPort: number;

  private constructor(app: NestFastifyApplication, httpPort: number, rpcPort: number) {
    this.#app = app;
    this.#httpPort = httpPort;
    this.rpc = { host: '127.0.0.1', port: rpcPort };
  }

  static async start(deployment: Deployment): Promise<DcsInstance> {
    configureLogging({ service: 'dcs', level: 'silent' });
    const [httpPort = 0, rpcPort = 0] = await findFreePorts(2);
    const config = parseConfig(JSON.stringify(describeConfig(deployment, httpPort, rpcPort)));
    const app = await createService({ ...dcsService, rpc: config.dcs.rpc }, config);
    await app.startAllMicroservices();
    await app.listen(httpPort, '127.0.0.1');
    return new DcsInstance(app, httpPort, rpcPort);
  }

  /** The body of a REST answer. */
  async get(path: string): Promise<{ readonly status: number; readonly body: unknown; readonly text: string }> {
    const response = await fetch(`http://127.0.0.1:${this.#httpPort}${path}`, {
      headers: { authorization: `Bearer ${READ_TOKEN}` },
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json');
    return { status: response.status, body: isJson ? JSON.parse(text) : null, text };
  }

  async close(): Promise<void> {
    await this.#app.close();
  }
}

function describeConfig(
  { keyPrefix, database, source, redisUrl, state, kafka }: Deployment,
  httpPort: number,
  rpcPort: number,
) {
  return {
    sources: { [source]: { endpoints: [{ host: 'localhost', user: 'nobody', password: 'none' }], include: ['*.*'] } },
    ...(kafka ? { kafka: { brokers: kafka.brokers } } : { mongo: { url: 'mongodb://localhost' } }),
    redis: { url: redisUrl, keyPrefix },
    state: { ...state, database },
    dcs: { http: { port: httpPort }, rpc: { port: rpcPort }, ...(kafka && { recentEvents: kafka.recentEvents }) },
    auth: {
      tokens: [
        { name: 'dss', token: OPERATE_TOKEN, roles: ['operate'] },
        { name: 'viewer', token: READ_TOKEN, roles: ['read'] },
      ],
    },
  };
}
