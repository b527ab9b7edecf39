import { Injectable } from '@nestjs/common';
import { createInstanceName, DcsClient, ServiceReporter } from '#dcs-client';
import { type DittoConfig, toAdvertisedUrl } from '#configuration';
import { createLogger, InjectConfig, LongWork, Shutdown } from '#platform';
import { type RecentReport } from './recent/recent-board.ts';
import { RecentRows } from './recent/recent-rows.ts';
import { type RecentStatus } from './recent/recent-source.ts';
import { TopicFollower } from './recent/topic-follower.ts';

/** Puts this worker on the board of DCS, again and again until the shutdown. */
@Injectable()
export class SelfReport extends LongWork {
  readonly #reporter: ServiceReporter;

  constructor(
    @InjectConfig() { dws }: DittoConfig,
    dcs: DcsClient,
    recent: RecentRows,
    topics: TopicFollower,
    shutdown: Shutdown,
  ) {
    super(shutdown);
    const { http, probeIntervalMs, sweepIntervalMs, concurrency } = dws;
    this.#reporter = new ServiceReporter({
      service: 'dws',
      instance: createInstanceName(),
      url: toAdvertisedUrl(http),
      details: () => ({ probeIntervalMs, sweepIntervalMs, concurrency, recent: describe(recent, topics) }),
      report: dcs.reportService.bind(dcs),
      logger: createLogger('self-report'),
    });
  }

  protected override run(signal: AbortSignal): Promise<void> {
    return this.#reporter.run(signal);
  }
}

/** A worker that can't read the topics verifies what it knows already, and says so. */
function describe(recent: RecentRows, { holdingBecause }: TopicFollower): RecentReport {
  const report: RecentReport = {};
  for (const [source, sinks] of recent.status())
    report[source] = Object.fromEntries(
      [...sinks].map(([sink, status]): [string, RecentStatus] => [
        sink,
        { ...status, holdingBecause: status.holdingBecause ?? holdingBecause },
      ]),
    );
  return report;
}
