import { Injectable } from '@nestjs/common';
import { createInstanceName, ServiceReporter } from '#dcs-client';
import { type DittoConfig, toAdvertisedAddress, toAdvertisedUrl } from '#configuration';
import { createLogger, InjectConfig, LongWork, Shutdown } from '#platform';
import { StatusBoard } from './status-board.ts';

/** Puts this instance on the board, again and again until the shutdown. */
@Injectable()
export class SelfReport extends LongWork {
  readonly #reporter: ServiceReporter;

  constructor(board: StatusBoard, shutdown: Shutdown, @InjectConfig() config: DittoConfig) {
    super(shutdown);
    const { http, rpc, recentEvents } = config.dcs;
    this.#reporter = new ServiceReporter({
      service: 'dcs',
      instance: createInstanceName(),
      url: toAdvertisedUrl(http),
      details: () => ({ rpc: toAdvertisedAddress(rpc), recentEvents: recentEvents.enabled }),
      report: board.reportService.bind(board),
      logger: createLogger('self-report'),
    });
  }

  protected override run(signal: AbortSignal): Promise<void> {
    return this.#reporter.run(signal);
  }
}
