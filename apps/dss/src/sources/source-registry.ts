import { Injectable } from '@nestjs/common';
import { createInstanceName, DcsClient, ServiceReporter } from '#dcs-client';
import { type DittoConfig, toAdvertisedUrl } from '#configuration';
import { BootClock, identifyThisProcess } from '#kernel';
import { AuditLog, createLogger, InjectConfig, LongWork, Notifier, Shutdown } from '#platform';
import { SourceStores } from '../connections/source-stores.ts';
import { SourceMetrics } from '../metrics/source-metrics.ts';
import { SourceOpener } from '../opening/source-opener.ts';
import { awaitTarget } from '../switching/choose-server.ts';
import { acceptRead } from './accept-read.ts';
import { LeaseKeeper } from './lease-keeper.ts';
import { SourceShares } from '../sharing/source-shares.ts';
import { SourceJournal } from './source-journal.ts';
import { type SourceStatus } from './source-status.ts';
import { SourceSupervisor } from './source-supervisor.ts';

/** The sources of the configuration, each under supervision for as long as this process lives. */
@Injectable()
export class SourceRegistry extends LongWork {
  readonly #instance = createInstanceName();
  readonly #supervisors: ReadonlyMap<string, SourceSupervisor>;
  readonly #reporter: ServiceReporter;
  readonly #shares: SourceShares;

  constructor(
    @InjectConfig() config: DittoConfig,
    dcs: DcsClient,
    opener: SourceOpener,
    { resyncs, rewinds, acceptances, switches, placements, reads }: SourceStores,
    audit: AuditLog,
    notifier: Notifier,
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
        sources: this.status().map(({ name, state, sinks, rowsPerSecond, lagMs }) => ({
          ...{ name, state, rowsPerSecond, lagMs },
          weight: config.sources[name]?.weight,
          /** Whether the source may go to another instance by itself; what a sink does not take would be sent again. */
          movable:
            state === 'streaming' &&
            Object.values(sinks).every(({ holdingBecause }) => holdingBecause === null) &&
            this.#shares.mayMove(name),
          placedOn: this.#shares.placementOf(name)?.instance ?? null,
        })),
      }),
      report: dcs.reportService.bind(dcs),
      logger: createLogger('self-report'),
    });
    const process = identifyThisProcess();
    const clock = new BootClock();
    const monotonicMs = (): number => clock.nowMs();
    this.#shares = new SourceShares({
      instance: this.#instance,
      weights: new Map(Object.values(config.sources).map(({ name, weight }) => [name, weight])),
      listLeases: () => dcs.listLeases(),
      listServices: () => dcs.listServices(),
      listPlacements: () => placements.list(),
      endPlacement: async (source, instance) => {
        if (!(await placements.end(source, instance))) return;
        await audit.record({ actor: 'dss', action: 'source.placement-ended', subject: source, details: { instance } });
      },
      move: (source, to, askedBy) => this.find(source)?.moveTo({ to, askedBy }) ?? null,
      isMoving: () => [...this.#supervisors.values()].some(({ isMoving }) => isMoving),
      logger: createLogger('shares'),
      monotonicMs,
    });
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
          turn: () => this.#shares.turnOf(source.name),
          monotonicMs,
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
          journal: new SourceJournal({
            ...{ source: source.name, instance: owner, audit, notifier },
            ...{ signal: shutdown.signal, logger },
          }),
          acceptRead: (request) => acceptRead(reads, source, request),
          onConfirmed: (sink, latencyMs, count) => metrics.confirmed(source.name, sink, latencyMs, count),
          logger,
        });
        return [source.name, supervisor];
      }),
    );
    metrics.observe(() => this.status());
  }

  /** This one. */
  get instance(): string {
    return this.#instance;
  }

  /** Does soon what was just asked for. */
  lookAtShares(): void {
    void this.#shares.look();
  }

  find(source: string): SourceSupervisor | undefined {
    return this.#supervisors.get(source);
  }

  status(): SourceStatus[] {
    return [...this.#supervisors.values()].map((supervisor) => supervisor.status());
  }

  protected override async run(signal: AbortSignal): Promise<void> {
    // who else is there, before the first lease is asked for
    await this.#shares.look();
    await Promise.all([
      this.#shares.run(signal),
      ...[...this.#supervisors.values()].map((supervisor) => supervisor.supervise(signal)),
      this.#reporter.run(signal),
    ]);
  }
}
