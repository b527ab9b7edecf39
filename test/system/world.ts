import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection, type Connection } from 'mysql2/promise';
import { stringify } from 'yaml';
import { findCacheFolder, findFreePorts, type ServerName, type Stack, startStack } from '#stack';
import { testStack, uniqueName } from '#testing';
import { readLastLines, type ServiceName, ServiceProcess } from '../../demo/service-process.ts';
import { compareAll, type Comparison } from '../oracle/compare-all.ts';
import { type SourceStatus } from '../../apps/dss/src/sources/source-status.ts';

/** A service as a process; its log is shown when it did what the test did not expect. */
export type ServiceInstance = ServiceProcess;

export interface WorldOptions {
  readonly tables: readonly string[];
  /** Merged over what the world writes to ditto.yaml. */
  readonly configuration?: Readonly<Record<string, unknown>>;
  readonly source?: Readonly<Record<string, unknown>>;
  /** Whether each table is a source of its own (`sourceOf`); else one source has all of them. */
  readonly tablesAreSources?: boolean;
  /** Whether the source is a MariaDB of the world's own; else it is the shared MySQL primary. */
  readonly mariaDb?: boolean;
  /** Servers of the world's own: they may be killed, frozen and emptied; the log of a MySQL may be reset. */
  readonly ownServers?: readonly ServerName[];
  /** Whether the source is a primary and a replica of the world's own, its endpoints in this order. */
  readonly ownCluster?: boolean;
}

type ClusterServer = 'mysql-primary' | 'mysql-replica';
type SourceServer = ClusterServer | 'mysql-state';

/** A source of its own on the shared servers, the services that replicate it as processes, and what tests do to them. */
export class World {
  readonly stack: Stack;
  readonly name: string;
  readonly database: string;
  readonly folder: string;
  readonly tables: readonly string[];
  /** The source's server when it is the world's own. */
  readonly mariaDb: Stack | null;
  readonly #own: Stack | null;
  /** Which server of the world's own cluster is written to. */
  primary: ClusterServer = 'mysql-primary';
  readonly #options: WorldOptions;
  readonly #instances: ServiceInstance[] = [];
  readonly #connections: Connection[] = [];
  #rpcPort = 0;

  private constructor(stack: Stack, own: Stack | null, options: WorldOptions) {
    this.stack = stack;
    this.mariaDb = options.mariaDb === true ? own : null;
    this.#own = own;
    this.name = uniqueName('w').replaceAll('_', '-');
    this.database = uniqueName('shop');
    const folder = join(findCacheFolder(process.env), 'test-runs');
    mkdirSync(folder, { recursive: true });
    this.folder = mkdtempSync(join(folder, 'world-'));
    this.tables = options.tables;
    this.#options = options;
  }

  static async create(options: WorldOptions): Promise<World> {
    const { mariaDb, ownCluster, ownServers = [] } = options;
    const servers: readonly ServerName[] =
      mariaDb === true ? ['mariadb'] : ownCluster === true ? ['mysql-primary', 'mysql-replica'] : ownServers;
    const own = servers.length === 0 ? null : await startOwn(servers);
    const world = new World(await testStack(), own, options);
    try {
      const mysql = await world.connect();
      await mysql.query(`CREATE DATABASE ${world.database}`);
      const [ports] = await findFreePorts(1);
      world.#rpcPort = ports ?? 0;
      return world;
    } catch (error) {
      await world.close();
      throw error;
    }
  }

  /** The stack that has this server: the world's own, or the shared one. */
  stackOf(server: ServerName): Stack {
    return this.#own?.urls()[server] === undefined ? this.stack : this.#own;
  }

  url(server: ServerName): string {
    return this.stackOf(server).url(server);
  }

  get sourceUrl(): string {
    return this.url(this.mariaDb === null ? this.primary : 'mariadb');
  }

  /** Where the primary and the replica are. */
  get cluster(): Stack {
    return this.stackOf('mysql-primary');
  }

  /** A connection to the source, in the world's database once it exists. */
  async connect(server?: SourceServer): Promise<Connection> {
    const connection = await createConnection({
      uri: server === undefined ? this.sourceUrl : this.url(server),
      multipleStatements: true,
      charset: 'utf8mb4',
    });
    connection.on('error', () => undefined); // a test may kill the server; the next call rejects
    this.#connections.push(connection);
    return connection;
  }

  /** Starts a service and waits until it listens; `ready` waits for its readiness too. */
  async start(service: ServiceName, overrides: Readonly<Record<string, unknown>> = {}): Promise<ServiceInstance> {
    const [port = 0] = await findFreePorts(1);
    const file = join(this.folder, `${service}-${port}.yaml`);
    writeFileSync(file, stringify(this.#configuration(service, port, overrides)));
    const instance = this.spawn(service, file, port);
    await this.waitFor(
      `${service} to listen`,
      async () => {
        const answer = await fetch(`${instance.url}/health/live`).catch(() => null);
        return answer?.ok === true;
      },
      { watch: instance },
    );
    return instance;
  }

  /** Runs a service on a configuration file, without waiting for anything. */
  spawn(service: ServiceName, configuration: string, port = 0): ServiceInstance {
    const instance = new ServiceProcess({
      ...{ name: service, port, folder: this.folder, configuration, isAttached: true },
      log: `${service}-${this.#instances.length}`,
      environment: { NODE_OPTIONS: '' },
    });
    this.#instances.push(instance);
    return instance;
  }

  #configuration(
    service: ServiceName,
    port: number,
    overrides: Readonly<Record<string, unknown>>,
  ): Record<string, unknown> {
    const { mariaDb } = this;
    const servers =
      mariaDb !== null
        ? [mariaDb.endpoint('mariadb')]
        : [
            this.cluster.endpoint('mysql-primary'),
            ...(this.#options.ownCluster === true ? [this.cluster.endpoint('mysql-replica')] : []),
          ];
    const state = this.stackOf('mysql-state').endpoint('mysql-state');
    const source = (tables: string): Record<string, unknown> => ({
      endpoints: servers.map(({ host, port, user, password }) => ({ host, port, user, password })),
      include: [`${this.database}.${tables}`],
      heartbeatMs: 500,
      ...this.#options.source,
      ...(overrides['source'] as Record<string, unknown> | undefined),
    });
    const base = {
      sources:
        this.#options.tablesAreSources === true
          ? Object.fromEntries(this.tables.map((table) => [this.sourceOf(table), source(table)]))
          : { [this.name]: source('*') },
      kafka: { brokers: this.url('kafka').split(',') },
      mongo: { url: this.url('mongo') },
      redis: { url: this.url('redis'), keyPrefix: this.name },
      state: {
        host: state.host,
        port: state.port,
        user: state.user,
        password: state.password,
        database: `${this.database}_state`,
      },
      dss: { lease: { ttlMs: 3000, renewMs: 500 } },
      dcs: { rpc: { port: this.#rpcPort }, recentEvents: { enabled: false } },
      dws: {},
      log: { level: 'info' },
      ...this.#options.configuration,
    };
    const section = {
      ...base[service],
      ...(overrides[service] as Record<string, unknown> | undefined),
      http: { port },
    };
    return { ...base, [service]: section };
  }

  /** Of a world in which each table is a source. */
  sourceOf(table: string): string {
    return `${this.name}-${table}`;
  }

  async status(instance: ServiceInstance, source = this.name): Promise<SourceStatus | null> {
    const answer = await fetch(`${instance.url}/sources/${source}`, { signal: AbortSignal.timeout(5000) }).catch(
      () => null,
    );
    return answer?.ok === true ? ((await answer.json()) as SourceStatus) : null;
  }

  async waitForStatus(
    instance: ServiceInstance,
    what: string,
    holds: (status: SourceStatus) => boolean,
    withinMs = 60_000,
  ): Promise<SourceStatus> {
    let last: SourceStatus | null = null;
    await this.waitFor(
      what,
      async () => {
        last = await this.status(instance);
        return last !== null && holds(last);
      },
      { watch: instance, withinMs, describe: () => JSON.stringify(last) },
    );
    return last as unknown as SourceStatus;
  }

  /** Waits until existing rows are copied and the checkpoint covers everything that is committed by now. */
  async waitUntilCaughtUp(instance: ServiceInstance, withinMs = 90_000): Promise<SourceStatus> {
    const covers = await this.readExecuted();
    let last: SourceStatus | null = null;
    await this.waitFor(
      'the checkpoint to pass the last commit',
      async () => {
        last = await this.status(instance);
        if (last?.state === 'failed') throw new Error(`the source has failed\n${this.logTail(instance)}`);
        const copied = last?.snapshot.every(({ state }) => state === 'done' || state === 'unavailable') ?? false;
        if (!copied || last?.state !== 'streaming' || last.snapshot.length < this.tables.length) return false;
        return last.checkpoint !== null && covers(last.checkpoint.position.gtidSet);
      },
      { watch: instance, withinMs, describe: () => JSON.stringify(last) },
    );
    return last as unknown as SourceStatus;
  }

  /** Says of a checkpoint whether it covers everything that the source has committed by now. */
  async readExecuted(): Promise<(checkpoint: string) => Promise<boolean>> {
    const mysql = await this.connect();
    const variable = this.mariaDb === null ? 'gtid_executed' : 'gtid_binlog_pos';
    const [rows] = await mysql.query(`SELECT @@GLOBAL.${variable} AS executed`);
    const executed = (rows as { executed: string }[])[0]?.executed.replaceAll(/\s/g, '') ?? '';
    // a source of one domain: nothing is committed after the position that equals it
    if (this.mariaDb !== null) return (checkpoint) => Promise.resolve(checkpoint === executed);
    return async (checkpoint) => {
      const [answer] = await mysql.query('SELECT GTID_SUBSET(?, ?) AS covered', [executed, checkpoint]);
      return (answer as { covered: number }[])[0]?.covered === 1;
    };
  }

  async waitFor(
    what: string,
    holds: () => Promise<boolean>,
    options: { readonly watch?: ServiceInstance; readonly withinMs?: number; readonly describe?: () => string } = {},
  ): Promise<void> {
    const { watch, withinMs = 30_000, describe } = options;
    const deadline = performance.now() + withinMs;
    while (!(await holds())) {
      const ended = watch?.isRunning === false;
      if (ended || performance.now() > deadline)
        throw new Error(
          `waited ${ended ? '' : `${withinMs} ms `}for ${what}${ended ? ', but the process has ended' : ''}\n${describe?.() ?? ''}\n${watch ? this.logTail(watch) : ''}`,
        );
      await sleep(50);
    }
  }

  logTail(instance: ServiceInstance, lines = 15): string {
    return readLastLines(instance.log, lines).join('\n');
  }

  /** Every row of every table in MySQL against MongoDB and Kafka, by code that shares nothing with Ditto. */
  async compare(
    tables: readonly string[] = this.tables,
    excludedColumns: Readonly<Record<string, readonly string[]>> = {},
    source = this.name,
  ): Promise<Comparison> {
    return compareAll({
      mysql: { url: this.sourceUrl },
      mongo: { url: this.url('mongo'), database: `ditto_${source}` },
      kafka: { brokers: this.url('kafka').split(','), prefix: source },
      tables: tables.map((table) => ({
        database: this.database,
        table,
        excludedColumns: excludedColumns[table] ?? [],
      })),
    });
  }

  async signal(instance: ServiceInstance, signal: NodeJS.Signals): Promise<void> {
    instance.signal(signal);
    if (signal === 'SIGKILL') await instance.exited;
  }

  async close(): Promise<void> {
    for (const instance of this.#instances) await instance.kill();
    for (const connection of this.#connections) connection.destroy();
    await this.#own?.down();
    for (const folder of [this.folder, this.#own?.folder])
      if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
}

async function startOwn(servers: readonly ServerName[]): Promise<Stack> {
  return startStack({ folder: mkdtempSync(join(tmpdir(), `ditto-${servers.join('-')}-`)), servers });
}
