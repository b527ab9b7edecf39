import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { DcsClient } from '#dcs-client';
import { isAbort, sleep, toDittoError } from '#kernel';
import { createLogger, type DittoConfig, InjectConfig, Shutdown } from '#platform';
import { SourceMetrics } from '../metrics/source-metrics.ts';
import { LeaseKeeper } from './lease-keeper.ts';
import { SourceOpener } from './source-opener.ts';
import { type SourceStatus } from './source-status.ts';
import { SourceSupervisor } from './source-supervisor.ts';

const REPORT_INTERVAL_MS = 2000;
const REPORT_TTL_MS = 10_000;

/** The sources of the configuration, each under supervision for as long as this process lives. */
@Injectable()
export class SourceRegistry implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #instance = `${hostname()}/${process.pid}/${randomUUID().slice(0, 8)}`;
  readonly #startedAtMs = Date.now();
  readonly #supervisors: ReadonlyMap<string, SourceSupervisor>;
  readonly #config: DittoConfig;
  readonly #dcs: DcsClient;
  readonly #shutdown: Shutdown;
  readonly #logger = createLogger('sources');
  #work: Promise<unknown> = Promise.resolve();

  constructor(@InjectConfig() config: DittoConfig, dcs: DcsClient, opener: SourceOpener, metrics: SourceMetrics, shutdown: Shutdown) {
    this.#config = config;
    this.#dcs = dcs;
    this.#shutdown = shutdown;
    const { ttlMs, renewMs } = config.dss.lease;
    const office = {
      acquireLease: async (request: { source: string; owner: string; ttlMs: number }) => (await dcs.acquireLease(request)).grant,
      renewLease: dcs.renewLease.bind(dcs),
      releaseLease: dcs.releaseLease.bind(dcs),
    };
    this.#supervisors = new Map(
      Object.values(config.sources).map((source) => {
        const owner = this.#instance;
        const logger = createLogger(`source:${source.name}`);
        const leases = new LeaseKeeper({ office, source: source.name, owner, ttlMs, renewMs, logger, monotonicMs: () => performance.now() });
        const supervisor = new SourceSupervisor({
          source: source.name,
          leases,
          open: (grant, onConfirmed, signal) => opener.open(source, grant, onConfirmed, signal),
          onConfirmed: (sink, latencyMs, count) => metrics.confirmed(source.name, sink, latencyMs, count),
          logger,
        });
        return [source.name, supervisor];
      }),
    );
    metrics.observe(() => this.status());
  }

  find(source: string): SourceSupervisor | undefined {
    return this.#supervisors.get(source);
  }

  status(): SourceStatus[] {
    return [...this.#supervisors.values()].map((supervisor) => supervisor.status());
  }

  onApplicationBootstrap(): void {
    const { signal } = this.#shutdown;
    this.#work = Promise.all([...[...this.#supervisors.values()].map((supervisor) => supervisor.supervise(signal)), this.#report(signal)]);
  }

  async onModuleDestroy(): Promise<void> {
    if (!this.#shutdown.signal.aborted) this.#shutdown.begin('the application closes');
    await this.#work;
  }

  /** Puts this instance on the board of DCS, again and again until the shutdown. */
  async #report(signal: AbortSignal): Promise<void> {
    const { http } = this.#config.dss;
    const identity = { service: 'dss', instance: this.#instance, startedAtMs: this.#startedAtMs, url: `http://${http.host}:${http.port}` } as const;
    for (let complained = false; !signal.aborted; ) {
      try {
        const sources = this.status().map(({ name, state, rowsPerSecond, lagMs }) => ({ name, state, rowsPerSecond, lagMs }));
        await this.#dcs.reportService({ ...identity, reportedAtMs: Date.now(), details: { sources } }, REPORT_TTL_MS);
        complained = false;
      } catch (error) {
        const { code, message } = toDittoError(error);
        if (!complained) this.#logger.warn('this instance can not report itself', { code, error: message });
        complained = true;
      }
      await sleep(REPORT_INTERVAL_MS, signal).catch((error: unknown) => {
        if (!isAbort(error)) throw error;
      });
    }
  }
}
