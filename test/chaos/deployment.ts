import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { findFreePorts, KIND_VARIABLE, type MemberName, type Stack, startStack } from '#stack';
import { FaultProxy, SteppingDownProxy } from '#testing';
import { type ServiceName, ServiceProcess } from '../../demo/service-process.ts';
import { type ChaosService, services, type Way, ways } from './plan.ts';
import { nodeNames, SourceCluster } from './source-cluster.ts';

const brokers = ['kafka-1', 'kafka-2', 'kafka-3'] as const;
const roles = ['dss', 'dws', 'dcs'] as const;
const READY_WITHIN_MS = 120_000;
/** A loss that is given up: sooner than by default (30 s), since each round is short. */
const HEAL_AFTER_MS = 3_000;

/** Servers, services, and a proxy before each server for each kind of service. */
export class Deployment {
  readonly folder: string;
  readonly stack: Stack;
  readonly cluster: SourceCluster;
  /** Answers in place of MongoDB; before it are the proxies of the network. */
  readonly mongo: SteppingDownProxy;
  readonly #proxies: ReadonlyMap<string, FaultProxy>;
  readonly #ports: ReadonlyMap<string, number>;
  readonly #running = new Map<ChaosService, ServiceProcess>();
  readonly #ended: ServiceProcess[] = [];
  /** Processes whose clock was wrong at some time; what they say of times means nothing. */
  readonly hasHadWrongClock = new Set<number>();
  readonly #clockOffsets = new Map<ChaosService, number>();
  #starts = 0;

  private constructor(
    folder: string,
    stack: Stack,
    cluster: SourceCluster,
    mongo: SteppingDownProxy,
    proxies: ReadonlyMap<string, FaultProxy>,
    ports: ReadonlyMap<string, number>,
  ) {
    this.folder = folder;
    this.stack = stack;
    this.cluster = cluster;
    this.mongo = mongo;
    this.#proxies = proxies;
    this.#ports = ports;
  }

  static async start(folder: string, signal: AbortSignal): Promise<Deployment> {
    mkdirSync(folder, { recursive: true });
    const proxies = new Map<string, FaultProxy>();
    for (const broker of brokers) {
      const [port = 0] = await findFreePorts(1);
      const proxy = await FaultProxy.open({ host: '127.0.0.1', port });
      proxies.set(`all ${broker}`, proxy);
      mkdirSync(join(folder, 'stack', broker), { recursive: true });
      writeFileSync(join(folder, 'stack', broker, 'more.properties'), formatListener(port, proxy.port));
    }
    // brokers have listeners of their own, which Docker's have not
    const environment = { ...process.env, [KIND_VARIABLE]: 'native' };
    const stack = await startStack({
      folder: join(folder, 'stack'),
      servers: ['mysql-primary', 'mysql-replica', 'mysql-state', 'kafka', 'mongo', 'redis'],
      kafkaBrokers: 3,
      environment,
      signal,
    });
    const cluster = await SourceCluster.start(stack, environment);
    const mongo = await SteppingDownProxy.open(stack.endpoint('mongo'));
    const ports = new Map<string, number>();
    for (const name of [...services, 'rpc dcs-1', 'rpc dcs-2']) ports.set(name, (await findFreePorts(1))[0] ?? 0);
    for (const role of roles) {
      for (const node of nodeNames) proxies.set(`${role} mysql-${node}`, await FaultProxy.open(cluster.endpoint(node)));
      proxies.set(`${role} mongo`, await FaultProxy.open({ host: '127.0.0.1', port: mongo.port }));
      for (const server of ['mysql-state', 'redis'] as const)
        proxies.set(`${role} ${server}`, await FaultProxy.open(stack.endpoint(server)));
      for (const dcs of ['dcs-1', 'dcs-2'])
        proxies.set(`${role} ${dcs}`, await FaultProxy.open({ host: '127.0.0.1', port: ports.get(`rpc ${dcs}`) ?? 0 }));
    }
    proxies.set('replica primary', cluster.replication);
    return new Deployment(folder, stack, cluster, mongo, proxies, ports);
  }

  /** `primary` and `replica` mean the server that is that now. */
  proxy(link: string): FaultProxy {
    const [replica = 'b'] = this.cluster.replicas;
    const name = link
      .replace(/^(dss|dws) primary$/, `$1 mysql-${this.cluster.primary}`)
      .replace(/^dss replica$/, `dss mysql-${replica}`);
    const proxy = this.#proxies.get(name);
    if (proxy === undefined) throw new Error(`There is no link ${link}.`);
    return proxy;
  }

  /** As DSS knows it. */
  addressOf(node: (typeof nodeNames)[number]): string {
    const { host, port } = this.proxy(`dss mysql-${node}`);
    return `${host}:${port}`;
  }

  /** The instances that run now, or are frozen. */
  get running(): ReadonlyMap<ChaosService, ServiceProcess> {
    return this.#running;
  }

  databaseOf(way: Way): string {
    return `chaos_${way}`;
  }

  start(name: ChaosService): void {
    const service = name.slice(0, 3) as ServiceName;
    const port = this.#ports.get(name) ?? 0;
    const configuration = join(this.folder, `${name}.yaml`);
    writeFileSync(configuration, stringify(this.#configure(name, port)), { mode: 0o600 });
    const clock = join(this.folder, `${name}.clock`);
    writeFileSync(clock, String(this.#clockOffsets.get(name) ?? 0));
    const instance = new ServiceProcess({
      ...{ name: service, port, folder: this.folder, configuration, isAttached: true },
      log: `${name}.${this.#starts++}`,
      nodeArguments: ['--import', join(import.meta.dirname, 'jumping-clock.mjs')],
      environment: { NODE_OPTIONS: '', CHAOS_CLOCK: clock },
    });
    this.#running.set(name, instance);
  }

  /** Throws `DITTO_DEMO_SERVICE_NOT_READY` or `DITTO_DEMO_SERVICE_ENDED`. */
  async waitUntilReady(signal: AbortSignal): Promise<void> {
    await Promise.all([...this.#running.values()].map((one) => one.waitUntilReady(READY_WITHIN_MS, signal)));
  }

  instance(name: ChaosService): ServiceProcess {
    const instance = this.#running.get(name);
    if (instance === undefined) throw new Error(`${name} does not run.`);
    return instance;
  }

  async kill(name: ChaosService): Promise<void> {
    await this.#end(name, (instance) => instance.kill());
  }

  async stop(name: ChaosService): Promise<void> {
    await this.#end(name, (instance) => instance.stop());
  }

  /** The clock of the process, and of the next one of this name, is wrong by so much. */
  setClock(name: ChaosService, offsetMs: number): void {
    this.#clockOffsets.set(name, offsetMs);
    const { pid } = this.#running.get(name) ?? {};
    if (pid !== undefined) this.hasHadWrongClock.add(pid);
    writeFileSync(join(this.folder, `${name}.clock`), String(offsetMs));
  }

  /** The services that have ended without having been killed, with what they say at the end. */
  findEnded(): string[] {
    return [...this.#running].filter(([, { isRunning }]) => !isRunning).map(([name, { log }]) => `${name}: ${log}`);
  }

  async close(): Promise<void> {
    for (const instance of [...this.#running.values(), ...this.#ended]) await instance.kill();
    for (const proxy of this.#proxies.values()) proxy.close();
    this.mongo.close();
    await this.cluster.close();
    await this.stack.down();
  }

  async #end(name: ChaosService, end: (instance: ServiceProcess) => Promise<void>): Promise<void> {
    const instance = this.instance(name);
    this.#running.delete(name);
    this.#ended.push(instance);
    await end(instance);
  }

  #configure(name: ChaosService, port: number): Record<string, unknown> {
    const role = name.slice(0, 3);
    const via = (server: string): { host: string; port: number } => {
      const { host, port: proxied } = this.proxy(`${role} ${server}`);
      return { host, port: proxied };
    };
    const login = (member: MemberName): { user: string | null; password: string | null } => {
      const { user, password } = this.stack.endpoint(member);
      return { user, password };
    };
    const throughProxy = (url: string, server: string): string => {
      const parsed = new URL(url);
      return Object.assign(parsed, { port: String(via(server).port) }).href;
    };
    const endpoints = nodeNames.map((node) => {
      const { user, password } = this.cluster.endpoint(node);
      return { ...via(`mysql-${node}`), user, password };
    });
    const sources = ways.map((way) => [
      way,
      {
        endpoints,
        include: [`${this.databaseOf(way)}.*`],
        switch: way === 'commit' ? { onLoss: 'heal', waitMs: HEAL_AFTER_MS } : { dispatchAfter: 'replicated' },
      },
    ]);
    const dcs = {
      endpoints: ['dcs-1', 'dcs-2'].map((one) => `127.0.0.1:${via(one).port}`),
      recentEvents: { enabled: false },
      ...(role === 'dcs' && { rpc: { port: this.#ports.get(`rpc ${name}`) } }),
    };
    const section = { http: { port } };
    return {
      sources: Object.fromEntries(sources) as unknown,
      kafka: {
        brokers: brokers.map((broker) => `127.0.0.1:${this.proxy(`all ${broker}`).port}`),
        // the order of each key is judged on the whole topic
        topics: { cleanupPolicy: 'delete' },
      },
      mongo: { url: throughProxy(this.stack.url('mongo'), 'mongo') },
      redis: { url: throughProxy(this.stack.url('redis'), 'redis'), keyPrefix: 'chaos' },
      state: { ...via('mysql-state'), ...login('mysql-state'), database: 'chaos_state' },
      verification: { continuousRowsPerSecond: 500 },
      dss: role === 'dss' ? section : {},
      dcs: role === 'dcs' ? { ...dcs, ...section } : dcs,
      dws: role === 'dws' ? section : {},
    };
  }
}

/** Clients are told to come through the proxy; brokers talk to each other without it. */
function formatListener(port: number, advertised: number): string {
  return [
    `listeners=PROXIED://127.0.0.1:${port}`,
    `advertised.listeners=PROXIED://127.0.0.1:${advertised}`,
    'listener.security.protocol.map=PROXIED:PLAINTEXT',
    '',
  ].join('\n');
}
