import { type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { type Shutdown } from './shutdown.ts';

/** Work that begins when the service has started, and that its end waits for. */
export abstract class LongWork implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #shutdown: Shutdown;
  #work: Promise<unknown> = Promise.resolve();

  constructor(shutdown: Shutdown) {
    this.#shutdown = shutdown;
  }

  /** Resolves soon after the signal is aborted. */
  protected abstract run(signal: AbortSignal): Promise<unknown>;

  onApplicationBootstrap(): void {
    this.#work = this.run(this.#shutdown.signal);
  }

  async onModuleDestroy(): Promise<void> {
    this.#shutdown.begin();
    await this.#work;
  }
}
