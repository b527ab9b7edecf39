import { Injectable } from '@nestjs/common';
import { createInstanceName, DcsClient, ServiceReporter } from '#dcs-client';
import { type DittoConfig, toAdvertisedUrl } from '#configuration';
import { identifyThisProcess } from '#kernel';
import { AuditLog, createLogger, InjectConfig, LongWork, Shutdown } from '#platform';
import { SourceStores } from '../connections/source-stores.ts';
import { SourceMetrics } from '../metrics/source-metrics.ts';
import { SourceOpener } from '../opening/source-opener.ts';
import { awaitTarget } from '../switching/choose-server.ts';
import { acceptRead } from './accept-read.ts';
import { LeaseKeeper } from './lease-keeper.ts';
import { recordSwitch } from './record-switch.ts';
import { type SourceStatus } from './source-status.ts';
import { SourceSupervisor } from './source-supervisor.ts';

/** The sources of the configuration, each under supervision for as long as this process lives. */
@Injectable()
export class SourceRegistry extends LongWork {
  readonly #instance = createInstanceName();
  readonly #supervisors: ReadonlyMap<string, SourceSupervisor>;
  readonly #reporter: ServiceReporter;

  constructor(
    @InjectConfig() config: DittoConfig,
    dcs: DcsClient,
    opener: SourceOpener,
    { resyncs, rewinds, acceptances, switches, reads }: SourceStores,
    audit: AuditLog,
    metrics: SourceMetrics,
    shutdown: Shutdown,
  ) {
    super(shutdown);
    const { http, lease } = config.dss;
    const { ttlMs, renewMs } = lease;
    this.#reporter = new ServiceReporter({
      service: 'dss',
      instance: this.#instance,
      url: toAdvertisedUrl(http),
      details: () => ({
        sources: this.status().map(({ name, state, rowsPerSecond, lagMs }) => ({ name, state, rowsPerSecond, lagMs })),
      }),
      report: dcs.reportService.bind(dcs),
      logger: createLogger('self-report'),
    });
    const process = identifyThisProcess();
    this.#supervisors = new Map(
      Object.values(config.sources).map((source) => {
        const owner = this.#instance;
        const logger = createLogger(`source:${source.name}`);
        const leases = new LeaseKeeper({
          office: dcs,
          source: source.name,
          owner,
          process,
          ttlMs,
          renewMs,
          logger,
          monotonicMs: () => performance.now(),
        });
        const supervisor = new SourceSupervisor({
          source: source.name,
          hasOtherServers: source.endpoints.length > 1,
          leases,
          open: (grant, hooks, signal, leftUuid) => opener.open(source, grant, hooks, signal, leftUuid),
          requestResync: resyncs.request.bind(resyncs),
          requestRewind: rewinds.request.bind(rewinds),
          requestAcceptance: acceptances.accept.bind(acceptances),
          requestSwitch: switches.request.bind(switches),
          awaitTarget: (to, checkpoint, signal) => awaitTarget(source, to, checkpoint, signal),
          onSwitch: (outcome) => void recordSwitch(audit, source.name, outcome, logger),
          acceptRead: (request) => acceptRead(reads, source, request),
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

  protected override run(signal: AbortSignal): Promise<unknown> {
    return Promise.all([
      ...[...this.#supervisors.values()].map((supervisor) => supervisor.supervise(signal)),
      this.#reporter.run(signal),
    ]);
  }
}
