import { type NestFastifyApplication } from '@nestjs/platform-fastify';
import { DcsClient } from '#dcs-client';
import { parseConfig } from '#configuration';
import { configureLogging, createService } from '#platform';
import { findFreePorts, type Stack } from '#stack';
import { eventually, testStack, uniqueName } from '#testing';
import { dcsService } from '../../dcs/src/service.ts';
import { dwsService } from '../src/service.ts';

type Endpoint = Readonly<Record<'host' | 'user' | 'password', string>> & { readonly port: number };

/** What all instances of one deployment share. */
export interface Deployment {
  readonly source: string;
  readonly endpoints: readonly Endpoint[];
  readonly config: Readonly<Record<string, unknown>>;
  readonly rpcPort: number;
}

export interface DeploymentOptions {
  /** With the MySQL pair and Redis; the rest comes from the shared stack. */
  readonly stack: Stack;
  /** Of the stack's Redis by default. */
  readonly redisUrl?: string;
  readonly probeIntervalMs: number;
  readonly sweepIntervalMs?: number;
  readonly tombstoneRetentionMs?: number;
}

export async function createDeployment(options: DeploymentOptions): Promise<Deployment> {
  const {
    stack,
    redisUrl = stack.url('redis'),
    probeIntervalMs,
    sweepIntervalMs = 3_600_000,
    tombstoneRetentionMs = 86_400_000,
  } = options;
  const shared = await testStack();
  const source = uniqueName('shop');
  const [rpcPort = 0] = await findFreePorts(1);
  const endpoints = (['mysql-primary', 'mysql-replica'] as const).map((server) => login(stack, server));
  const config = {
    sources: { [source]: { endpoints, include: ['*.*'], sinks: ['mongo'] } },
    mongo: { url: shared.url('mongo'), tombstoneRetentionMs },
    redis: { url: redisUrl, keyPrefix: uniqueName('dws') },
    state: { ...login(shared, 'mysql-state'), database: uniqueName('state') },
    dcs: { rpc: { port: rpcPort } },
    dws: { probeIntervalMs, sweepIntervalMs },
  };
  return { source, endpoints, config, rpcPort };
}

/** One service in this process, on a port of its own. */
export class Instance {
  readonly #app: NestFastifyApplication;
  readonly #url: string;

  private constructor(app: NestFastifyApplication, url: string) {
    this.#app = app;
    this.#url = url;
  }

  static async start(name: 'dcs' | 'dws', { config, rpcPort }: Deployment): Promise<Instance> {
    configureLogging({ service: name, level: 'silent' });
    const [port = 0] = await findFreePorts(1);
    const http = { port };
    const listening =
      name === 'dcs' ? { dcs: { http, rpc: { port: rpcPort } } } : { dws: { ...(config['dws'] as object), http } };
    const parsed = parseConfig(JSON.stringify({ ...config, ...listening }));
    const app = await (name === 'dcs'
      ? createService({ ...dcsService, rpc: parsed.dcs.rpc }, parsed)
      : createService(dwsService, parsed));
    if (name === 'dcs') await app.startAllMicroservices();
    await app.listen(http.port, '127.0.0.1');
    const instance = new Instance(app, `http://127.0.0.1:${http.port}`);
    if (name === 'dcs') await eventually(() => instance.get('/health/ready'), grantsLeases);
    return instance;
  }

  async get(path: string): Promise<{ readonly status: number; readonly body: unknown }> {
    const response = await fetch(this.#url + path);
    return { status: response.status, body: await response.json() };
  }

  /** The sum of a metric's values over its label sets that hold `labels`. */
  async metric(name: string, labels = ''): Promise<number> {
    const text = await (await fetch(`${this.#url}/metrics`)).text();
    const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) && line.includes(labels));
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
  }

  async close(): Promise<void> {
    await this.#app.close();
  }
}

function grantsLeases({ body }: { readonly body: unknown }): boolean {
  return (body as { details: { state?: { grantsLeases: boolean } } }).details.state?.grantsLeases === true;
}

export function createClient({ rpcPort }: Deployment): DcsClient {
  return new DcsClient({ endpoints: [{ host: '127.0.0.1', port: rpcPort }], token: null, timeoutMs: 2000 });
}

function login(stack: Stack, server: 'mysql-primary' | 'mysql-replica' | 'mysql-state'): Endpoint {
  const { host, port, user, password } = stack.endpoint(server);
  return { host, port, user: user ?? '', password: password ?? '' };
}
