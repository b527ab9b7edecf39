import { Injectable } from '@nestjs/common';
import { createInstanceName, DcsClient, ServiceReporter } from '#dcs-client';
import { type DittoConfig, toAdvertisedUrl } from '#configuration';
import { createLogger, InjectConfig, LongWork, Shutdown } from '#platform';
import { MirrorFollower } from './recent/mirror-follower.ts';
import { toRecentReport } from './recent/recent-board.ts';
import { RecentRows } from './recent/recent-rows.ts';
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
    mirrors: MirrorFollower,
    shutdown: Shutdown,
  ) {
    super(shutdown);
    const { http, probeIntervalMs, sweepIntervalMs, concurrency } = dws;
    this.#reporter = new ServiceReporter({
      service: 'dws',
      instance: createInstanceName(),
      url: toAdvertisedUrl(http),
      details: () => ({
        ...{ probeIntervalMs, sweepIntervalMs, concurrency },
        recent: toRecentReport(recent.status(), [topics, mirrors]),
      }),
      report: dcs.reportService.bind(dcs),
      logger: createLogger('self-report'),
    });
  }

  protected override run(signal: AbortSignal): Promise<void> {
    return this.#reporter.run(signal);
  }
}
