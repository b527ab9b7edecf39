import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RowDataPacket } from 'mysql2/promise';
import { collectionName, GtidSet, mirrorDatabaseName } from '#change-events';
import { DittoError } from '#kernel';
import { type ServerName, type Stack, startStack, URL_VARIABLES } from '#stack';
import { compareAll } from '../test/oracle/compare-all.ts';
import { createReader, createState, withMySql } from './access.ts';
import { findPorts, type Ports, writeConfiguration } from './configuration.ts';
import { type DssStatus, isSnapshotDone, readDssStatus } from './dss-status.ts';
import { formatCount, formatDuration } from './figures.ts';
import { removeTraces, type RunNames } from './given-servers.ts';
import { rememberServices } from './kept-run.ts';
import type { LiveView } from './live-view.ts';
import type { DemoOptions } from './options.ts';
import { renderProof } from './proof.ts';
import { sabotageAndRepair } from './sabotage.ts';
import { copyServerData, serverDataTables } from './server-data.ts';
import { buildServices } from './service-build.ts';
import { type ServiceName, ServiceProcess } from './service-process.ts';
import { fillShop, planShop, type ShopSize } from './shop.ts';
import { shopTables } from './shop-tables.ts';
import { losePrimary } from './lost-primary.ts';
import { noWriting, ShopWriter, type WriterCounts } from './writer.ts';

const READY_WITHIN_MS = 60_000;
const STALLED_AFTER_MS = 120_000;
/** After the switch, so that the server that goes on is seen to be followed. */
const FOLLOW_AGAIN_MS = 3_000;

/** One run of the demo: everything it starts is stopped again by `close`. */
export class DemoRun {
  readonly #options: DemoOptions;
  readonly #folder: string;
  readonly #view: LiveView;
  readonly #signal: AbortSignal;
  readonly #began = performance.now();
  readonly #services: ServiceProcess[] = [];
  readonly #size: ShopSize;
  readonly #runId: string;
  #stack: Stack | null = null;
  #writer: ShopWriter | null = null;
  /** What was written while nothing writes. */
  #earlier: WriterCounts = noWriting;
  /** The server that is written to. */
  #primary: 'mysql-primary' | 'mysql-replica' = 'mysql-primary';
  #peakRowsPerSecond = 0;

  constructor(options: DemoOptions, folder: string, runId: string, view: LiveView, signal: AbortSignal) {
    this.#options = options;
    this.#folder = folder;
    this.#runId = runId;
    this.#view = view;
    this.#signal = signal;
    this.#size = planShop(options.rows);
  }

  get services(): readonly ServiceProcess[] {
    return this.#services;
  }

  /** Returns whether source and sinks agree. */
  async run(): Promise<boolean> {
    const stack = await this.#startServers();
    const ports = await findPorts();
    const configuration = await this.#prepareDatabases(stack, ports);
    const filled = this.#fill(stack);
    const dcs = this.#start('dcs', ports.dcs, configuration);
    const dws = this.#start('dws', ports.dws, configuration);
    await Promise.all([
      filled,
      dcs.waitUntilReady(READY_WITHIN_MS, this.#signal),
      dws.waitUntilReady(READY_WITHIN_MS, this.#signal),
    ]);
    const dss = this.#start('dss', ports.dss, configuration);
    this.#writer = await this.#startWriter(stack);
    await dss.waitUntilReady(READY_WITHIN_MS, this.#signal);
    this.#say('DCS, DWS and DSS are ready. The copy begins while the writer changes rows.');
    return this.#replicate(stack, dss, dws);
  }

  /** Ends the writer and the services; the servers too, and deletes the run's folder when `all` is set. */
  async close(options: { readonly deleteFolder: boolean }): Promise<void> {
    await this.#writer?.stop().catch(() => undefined); // reported before, or no longer of interest
    await Promise.all(this.#services.map((service) => service.stop()));
    if (this.#stack?.kind === 'given') await removeTraces(this.#stack, this.#names);
    await this.#stack?.down();
    // the logs stay when something went wrong; what may log in to servers never does
    rmSync(options.deleteFolder ? this.#folder : join(this.#folder, 'secrets'), { recursive: true, force: true });
  }

  /** Leaves all running; `stopKeptRun` ends it. */
  keep(): void {
    rememberServices(this.#folder, this.#services);
  }

  #say(text: string): void {
    this.#view.line(`[${formatDuration(performance.now() - this.#began).padStart(8)}] ${text}`);
  }

  /** Servers that were given by URL may have seen other runs: there every name is this run's own. */
  get #suffix(): string {
    return this.#stack?.kind === 'given' ? `_${this.#runId}` : '';
  }

  get #databases(): { readonly shop: string; readonly serverData: string } {
    return { shop: `shop${this.#suffix}`, serverData: `server_data${this.#suffix}` };
  }

  get #names(): RunNames {
    const source = `demo${this.#suffix}`;
    return {
      source,
      mirror: mirrorDatabaseName(source),
      databases: Object.values(this.#databases),
      reader: `demo_reader${this.#suffix}`,
      state: `demo_state${this.#suffix}`,
    };
  }

  async #startServers(): Promise<Stack> {
    const failed = new AbortController();
    const signal = AbortSignal.any([this.#signal, failed.signal]);
    const onProgress = (line: string): void => this.#say(line);
    const starting = startStack({
      folder: join(this.#folder, 'stack'),
      servers: chooseServers(process.env),
      onProgress,
      signal,
    }).then((stack) => (this.#stack = stack));
    const work = [starting, buildServices(onProgress, signal)] as const;
    for (const one of work) one.catch((error: unknown) => failed.abort(error));
    // both must have ended before anything is cleaned up
    await Promise.allSettled(work);
    this.#signal.throwIfAborted();
    failed.signal.throwIfAborted();
    this.#say('The servers are up, the services are built.');
    return starting;
  }

  async #prepareDatabases(stack: Stack, ports: Ports): Promise<string> {
    const { source, databases, reader, state } = this.#names;
    return writeConfiguration({
      folder: this.#folder,
      source,
      databases,
      stack,
      reader: await withMySql(stack.url('mysql-primary'), (connection) => createReader(connection, reader, databases)),
      state: await withMySql(stack.url('mysql-state'), (connection) => createState(connection, state, state)),
      ports,
    });
  }

  async #fill(stack: Stack): Promise<void> {
    const url = stack.url('mysql-primary');
    const began = performance.now();
    let rows = 0;
    const progress = setInterval(
      () => this.#say(`MySQL: ${formatCount(rows)} of ${formatCount(this.#options.rows)} rows written`),
      2_000,
    );
    const onRows = (_table: string, added: number): void => void (rows += added);
    await withMySql(url, (first) =>
      withMySql(url, (second) =>
        fillShop([first, second], this.#databases.shop, this.#size, { signal: this.#signal, onRows }),
      ),
    ).finally(() => clearInterval(progress));
    this.#say(`MySQL: a shop of ${formatCount(rows)} rows in ${formatDuration(performance.now() - began)}`);
    const copied = await withMySql(url, (connection) => copyServerData(connection, this.#databases.serverData));
    this.#say(
      `MySQL: the server's own data: ${serverDataTables.map((table) => `${formatCount(copied[table])} rows of ${table}`).join(', ')}`,
    );
  }

  async #startWriter(stack: Stack, earlier = noWriting): Promise<ShopWriter> {
    const writer = new ShopWriter({
      url: stack.url(this.#primary),
      database: this.#databases.shop,
      size: this.#size,
      connections: 3,
      transactionsPerSecond: this.#options.rate,
      statementsPerTransaction: 5,
      earlier,
    });
    await writer.start();
    return writer;
  }

  #start(name: ServiceName, port: number, configuration: string): ServiceProcess {
    const service = new ServiceProcess({ name, port, folder: this.#folder, configuration });
    this.#services.push(service);
    return service;
  }

  async #replicate(stack: Stack, dss: ServiceProcess, dws: ServiceProcess): Promise<boolean> {
    const tables = shopTables.length + serverDataTables.length;
    const copyBegan = performance.now();
    const copied = await this.#watch(dss, 'copying', (status) => isSnapshotDone(status, tables));
    const copiedInMs = performance.now() - copyBegan;
    const copiedRows = copied.snapshot.reduce((sum, { rowsRead }) => sum + rowsRead, 0);
    const followUntil = performance.now() + this.#options.followSeconds * 1_000;
    const following = await this.#watch(dss, 'following the log', () => performance.now() >= followUntil);
    this.#view.keep();
    await sabotageAndRepair({
      mongoUrl: stack.url('mongo'),
      mirror: this.#names.mirror,
      collections: shopTables.map((table) => collectionName(this.#databases.shop, table)),
      dws: dws.url,
      source: this.#names.source,
      seed: Number.parseInt(this.#runId, 16),
      say: (text) => this.#say(text),
      signal: this.#signal,
    });
    await this.#switchServers(stack, dss, copied);
    const writer = (await this.#writer?.stop()) ?? noWriting;
    this.#say(`The writer has stopped after ${formatCount(writer.transactions)} transactions.`);
    const caughtUpInMs = await this.#waitForCheckpoint(stack, dss);
    this.#view.keep();
    this.#say('The checkpoint has passed the last commit. Comparing MySQL with MongoDB and Kafka …');
    const compareBegan = performance.now();
    const comparison = await this.#compare(stack);
    const comparedInMs = performance.now() - compareBegan;
    const facts = {
      comparison,
      comparedInMs,
      copiedRows,
      copiedInMs,
      peakRowsPerSecond: this.#peakRowsPerSecond,
      writer,
      following,
      caughtUpInMs,
    };
    this.#view.line('');
    for (const line of renderProof(facts)) this.#view.line(line);
    return comparison.differences === 0;
  }

  /** The primary dies while rows are written; the replica is promoted, and the writer goes on there. */
  async #switchServers(stack: Stack, dss: ServiceProcess, { snapshot }: DssStatus): Promise<void> {
    if (!stack.members.includes('mysql-replica') || stack.kind === 'given') {
      this.#say('The servers were given by URL: none of them is killed.');
      return;
    }
    const writer = this.#writer;
    this.#writer = null;
    this.#earlier = writer?.counts ?? noWriting;
    const watch = (isEnough: (status: DssStatus) => boolean): Promise<DssStatus> =>
      this.#watch(dss, 'switching', isEnough);
    const restart = async (): Promise<void> => {
      this.#primary = 'mysql-replica';
      this.#writer = await this.#startWriter(stack, (await writer?.abandon()) ?? noWriting);
    };
    await losePrimary({ stack, restart, watch, say: (text) => this.#say(text) });
    const until = performance.now() + FOLLOW_AGAIN_MS;
    await this.#watch(
      dss,
      'following the new primary',
      (status) => performance.now() >= until && isSnapshotDone(status, snapshot.length),
    );
    this.#view.keep();
  }

  async #waitForCheckpoint(stack: Stack, dss: ServiceProcess): Promise<number> {
    const began = performance.now();
    const executed = await withMySql(stack.url(this.#primary), async (connection) => {
      const [[row]] = await connection.query<RowDataPacket[]>('SELECT @@GLOBAL.gtid_executed AS executed');
      return GtidSet.parse(String(row?.['executed']));
    });
    await this.#watch(
      dss,
      'catching up',
      ({ checkpoint }) => checkpoint !== null && GtidSet.parse(checkpoint.position.gtidSet).contains(executed),
    );
    return performance.now() - began;
  }

  /** Shows the figures until `isEnough`; throws when something ended, failed, or nothing moves any more. */
  async #watch(dss: ServiceProcess, phase: string, isEnough: (status: DssStatus) => boolean): Promise<DssStatus> {
    let progress = '';
    let movedAt = performance.now();
    for (;;) {
      this.#signal.throwIfAborted();
      for (const service of this.#services) service.assertRunning();
      const status = await readDssStatus(dss.url, this.#names.source, this.#signal);
      this.#view.show({
        phase,
        elapsedMs: performance.now() - this.#began,
        status,
        writer: this.#writer?.counts ?? this.#earlier,
      });
      if (status !== null) {
        assertHealthy(status, dss);
        this.#peakRowsPerSecond = Math.max(this.#peakRowsPerSecond, status.rowsPerSecond);
        if (isEnough(status)) return status;
      }
      if (this.#writer?.failure) throw new Error('The writer could not continue.', { cause: this.#writer.failure });
      const now = JSON.stringify([
        status?.checkpoint?.position,
        status?.snapshot.map(({ rowsRead, state }) => [rowsRead, state]),
      ]);
      if (now !== progress) [progress, movedAt] = [now, performance.now()];
      if (performance.now() - movedAt > STALLED_AFTER_MS)
        throw new DittoError(
          'DITTO_DEMO_STALLED',
          `Nothing has moved for ${STALLED_AFTER_MS / 1000} s while ${phase}.`,
          {
            context: { log: dss.log },
          },
        );
      await sleep(250, undefined, { signal: this.#signal });
    }
  }

  #compare(stack: Stack): ReturnType<typeof compareAll> {
    const { shop, serverData } = this.#databases;
    return compareAll({
      mysql: { url: stack.url(this.#primary) },
      mongo: { url: stack.url('mongo'), database: this.#names.mirror },
      kafka: { brokers: stack.url('kafka').split(','), prefix: this.#names.source },
      tables: [
        ...shopTables.map((table) => ({ database: shop, table })),
        ...serverDataTables.map((table) => ({ database: serverData, table })),
      ],
      onTable: ({ database, table, rows }) => this.#say(`compared ${formatCount(rows)} rows of ${database}.${table}`),
    });
  }
}

/** The replica only where it may be needed: servers that were given by URL are not killed. */
function chooseServers(environment: NodeJS.ProcessEnv): ServerName[] {
  const areGiven = Object.values(URL_VARIABLES).some((name) => (environment[name] ?? '') !== '');
  return ['mysql-primary', ...(areGiven ? [] : ['mysql-replica' as const]), 'mysql-state', 'kafka', 'mongo', 'redis'];
}

function assertHealthy({ state, error }: DssStatus, dss: ServiceProcess): void {
  if (state !== 'failed') return;
  throw new DittoError(error?.code ?? 'DITTO_DEMO_SOURCE_FAILED', error?.message ?? 'DSS stopped the source.', {
    ...(error?.remedy != null && { remedy: error.remedy }),
    context: { log: dss.log },
  });
}
