import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { createInstanceName, DcsClient, ServiceReporter } from '#dcs-client';
import { type DittoConfig, toAdvertisedUrl } from '#configuration';
import { createLogger, InjectConfig, Shutdown } from '#platform';

/** Puts this worker on the board of DCS, again and again until the shutdown. */
@Injectable()
export class SelfReport implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #reporter: ServiceReporter;
  readonly #shutdown: Shutdown;
  #work: Promise<void> = Promise.resolve();

  constructor(@InjectConfig() { dws }: DittoConfig, dcs: DcsClient, shutdown: Shutdown) {
    const { http, probeIntervalMs, sweepIntervalMs, concurrency } = dws;
    this.#shutdown = shutdown;
    this.#reporter = new ServiceReporter({
      service: 'dws',
      instance: createInstanceName(),
      url: toAdvertisedUrl(http),
      details: () => ({ probeIntervalMs, sweepIntervalMs, concurrency }),
      report: dcs.reportService.bind(dcs),
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
