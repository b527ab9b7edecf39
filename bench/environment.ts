import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { stringify } from 'yaml';
import { collectionName, mirrorDatabaseName, topicName } from '#change-events';
import { DittoError, sleep } from '#kernel';
import { findCacheFolder, type ServerName, type Stack, startStack } from '#stack';
import { createReader, createState, withMySql } from '../demo/access.ts';
import { findPorts, type Ports } from '../demo/configuration.ts';
import { type DssStatus, readDssStatus } from '../demo/dss-status.ts';
import { removeTraces } from '../demo/given-servers.ts';
import { buildServices } from '../demo/service-build.ts';
import { ServiceProcess } from '../demo/service-process.ts';
import { describeConfiguration, hasRecentEvents, hasReplica, MONGO_BATCH_OPERATIONS } from './configuration.ts';
import { describeMachine, type Machine, readVersions } from './machine.ts';
import { type BenchOptions, type BenchSink } from './options.ts';
import { TABLE_NAME } from './workload.ts';

const READY_WITHIN_MS = 60_000;
const STALLED_AFTER_MS = 60_000;

export interface EnvironmentOptions {
  readonly options: BenchOptions;
  readonly snapshot: 'windowed' | 'none';
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Servers and services of one measurement, every name its own; all of it ends with `close`. */
export class BenchEnvironment {
  readonly options: BenchOptions;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
  readonly folder: string;
  readonly source: string;
  readonly database: string;
  readonly topic: string;
  readonly mongoDatabase: string;
  readonly collection: string;
  readonly machine: Machine = describeMachine();
  readonly #snapshot: 'windowed' | 'none';
  readonly #services: ServiceProcess[] = [];
  #stack: Stack | null = null;
  #ports: Ports | null = null;
  #configuration = '';
  #versions: Readonly<Record<string, string | null>> = {};

  constructor({ options, snapshot, say, signal }: EnvironmentOptions) {
    const runId = randomBytes(3).toString('hex');
    this.options = options;
    this.signal = signal;
    this.say = say;
    this.#snapshot = snapshot;
    this.folder = join(findCacheFolder(process.env), 'bench', runId);
    this.source = `bench-${runId}`;
    this.database = `bench_${runId}`;
    this.topic = topicName(this.source, this.database, TABLE_NAME);
    this.mongoDatabase = mirrorDatabaseName(this.source);
    this.collection = collectionName(this.database, TABLE_NAME);
  }

  get stack(): Stack {
    if (this.#stack === null) throw new DittoError('DITTO_BENCH_NOT_OPEN', 'The servers of the run are not up.');
    return this.#stack;
  }

  get brokers(): readonly string[] {
    return this.stack.url('kafka').split(',');
  }

  get sinks(): readonly BenchSink[] {
    return this.options.sinks;
  }

  /** Starts the servers and DCS; the services are built when their sources have changed. */
  async open(): Promise<void> {
    const { signal, say, folder } = this;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    await buildServices(say, signal);
    const sinkServers: readonly ServerName[] = this.sinks;
    const replica: readonly ServerName[] = hasReplica(this.options) ? ['mysql-replica'] : [];
    const servers: readonly ServerName[] = ['mysql-primary', ...replica, 'mysql-state', ...sinkServers, 'redis'];
    this.#stack = await startStack({ folder: join(folder, 'stack'), servers, onProgress: say, signal });
    this.#versions = await readVersions(this.#stack);
    this.#ports = await findPorts();
    this.#configuration = await this.#configure(this.#stack, this.#ports);
    const dcs = new ServiceProcess({ name: 'dcs', port: this.#ports.dcs, folder, configuration: this.#configuration });
    this.#services.push(dcs);
    await dcs.waitUntilReady(READY_WITHIN_MS, signal);
  }

  get dcs(): ServiceProcess {
    const dcs = this.#services.find(({ name }) => name === 'dcs');
    if (dcs === undefined) throw new DittoError('DITTO_BENCH_NOT_OPEN', 'DCS of the run is not up.');
    return dcs;
  }

  /** DSS as a process of its own, not awaited: what it does first may be part of the measurement. */
  startDss(profile: string | null = null): ServiceProcess {
    if (this.#ports === null) throw new DittoError('DITTO_BENCH_NOT_OPEN', 'The servers of the run are not up.');
    const nodeArguments = profileArguments(profile);
    const { folder } = this;
    const configuration = this.#configuration;
    const dss = new ServiceProcess({ name: 'dss', port: this.#ports.dss, folder, configuration, nodeArguments });
    this.#services.push(dss);
    return dss;
  }

  /** DWS, as so many processes. */
  async startWorkers(count: number): Promise<ServiceProcess[]> {
    const { folder } = this;
    const nodeArguments = profileArguments(this.options.profile);
    const configuration = this.#configuration;
    const started: ServiceProcess[] = [];
    for (let number = 1; number <= count; number++) {
      const { dws: port } = await findPorts();
      const environment = { DITTO_DWS_HTTP_PORT: String(port) };
      const log = `dws-${number}`;
      started.push(new ServiceProcess({ name: 'dws', log, port, folder, configuration, environment, nodeArguments }));
    }
    this.#services.push(...started);
    return started;
  }

  /**
   * Asks DSS again and again until `isEnough`. Throws the source's own error when it stops, and
   * `DITTO_BENCH_STALLED` when `progress` doesn't change for a minute.
   */
  async watch(
    dss: ServiceProcess,
    everyMs: number,
    isEnough: (status: DssStatus) => boolean,
    progress: (status: DssStatus) => unknown = ({ state }) => state,
  ): Promise<DssStatus> {
    let seen: unknown;
    let movedAt = performance.now();
    for (;;) {
      const status = await readDssStatus(dss.url, this.source, this.signal);
      for (const service of this.#services) if (service === dss || service.name !== 'dss') service.assertRunning();
      if (status !== null) {
        assertHealthy(status, dss);
        if (isEnough(status)) return status;
      }
      const now = status === null ? null : progress(status);
      if (now !== seen) [seen, movedAt] = [now, performance.now()];
      if (performance.now() - movedAt > STALLED_AFTER_MS) throw stalled(dss, status);
      await sleep(everyMs, this.signal);
    }
  }

  /** What every result says about its circumstances. */
  describe(): {
    readonly versions: Readonly<Record<string, string | null>>;
    readonly machine: Machine;
    readonly settings: Readonly<Record<string, unknown>>;
  } {
    const { partitions, compression, client, inFlightBytes, lanes, chunkRows, profile } = this.options;
    const [kafka, mongo] = [this.sinks.includes('kafka'), this.sinks.includes('mongo')];
    return {
      versions: this.#versions,
      machine: this.machine,
      settings: {
        stack: this.stack.kind,
        durability: this.stack.kind === 'given' ? null : 'fast',
        inFlightBytes,
        ...(kafka && { kafkaClient: client, kafkaBrokers: this.brokers.length, partitions, compression }),
        ...(mongo && { lanes, maxBatchOperations: MONGO_BATCH_OPERATIONS }),
        ...(this.#snapshot === 'windowed' && { chunkRows }),
        recentEvents: hasRecentEvents(this.options),
        ...(profile !== null && { profiled: true }),
      },
    };
  }

  /** Ends all that was started, and removes what was made on given servers. The folder stays, for its logs, unless `deleteFolder`. */
  async close(options: { readonly deleteFolder: boolean }): Promise<void> {
    await Promise.all(this.#services.map((service) => service.stop()));
    if (this.#stack?.kind === 'given') {
      const { source, mongoDatabase: mirror, database } = this;
      await removeTraces(this.#stack, { source, mirror, databases: [database], reader: database, state: database });
    }
    await this.#stack?.down();
    if (options.deleteFolder) rmSync(this.folder, { recursive: true, force: true });
  }

  async #configure(stack: Stack, ports: Ports): Promise<string> {
    const { source, database, options } = this;
    const [primary, stateServer] = [stack.url('mysql-primary'), stack.url('mysql-state')];
    const facts = { source, database, options, snapshot: this.#snapshot, stack, ports };
    const reader = await withMySql(primary, (connection) => createReader(connection, database, [database]));
    const state = await withMySql(stateServer, (connection) => createState(connection, database, database));
    const file = join(this.folder, 'ditto.yaml');
    writeFileSync(file, stringify(describeConfiguration({ ...facts, reader, state })), { mode: 0o600 });
    return file;
  }
}

function profileArguments(folder: string | null): readonly string[] {
  return folder === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${resolve(folder)}`];
}

function assertHealthy({ state, error }: DssStatus, dss: ServiceProcess): void {
  if (state !== 'failed') return;
  throw new DittoError(error?.code ?? 'DITTO_BENCH_SOURCE_FAILED', error?.message ?? 'DSS stopped the source.', {
    ...(error?.remedy != null && { remedy: error.remedy }),
    context: { log: dss.log },
  });
}

function stalled(dss: ServiceProcess, status: DssStatus | null): DittoError {
  const because = status?.error ?? null;
  const text = because === null ? '' : `: ${because.code} ${because.message}`;
  return new DittoError('DITTO_BENCH_STALLED', `Nothing has moved for ${STALLED_AFTER_MS / 1000} s${text}.`, {
    context: { log: dss.log },
  });
}
