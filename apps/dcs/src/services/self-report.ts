import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { createInstanceName, ServiceReporter } from '#dcs-client';
import { type DittoConfig, toAdvertisedAddress, toAdvertisedUrl } from '#configuration';
import { createLogger, InjectConfig, Shutdown } from '#platform';
import { StatusBoard } from './status-board.ts';

/** Puts this instance on the board, again and again until the shutdown. */
@Injectable()
export class SelfReport implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #reporter: ServiceReporter;
  readonly #shutdown: Shutdown;
  #work: Promise<void> = Promise.resolve();

  constructor(board: StatusBoard, shutdown: Shutdown, @InjectConfig() config: DittoConfig) {
    const { http, rpc, recentEvents } = config.dcs;
    this.#shutdown = shutdown;
    this.#reporter = new ServiceReporter({
      service: 'dcs',
      instance: createInstanceName(),
      url: toAdvertisedUrl(http),
      details: () => ({ rpc: toAdvertisedAddress(rpc), recentEvents: recentEvents.enabled }),
      report: board.reportService.bind(board),
      logger: createLogger('self-report'),
    });
  }

  onApplicationBootstrap(): void {
    this.#work = this.#reporter.run(this.#shutdown.signal);
  }

  async onModuleDestroy(): Promise<void> {
    if (!this.#shutdown.signal.aborted) this.#shutdown.begin('the application closes');
    await this.#work;
  }
}
