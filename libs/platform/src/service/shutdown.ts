import { Injectable } from '@nestjs/common';

/**
 * Tells everything in the process that it is about to end. Long work stops when `signal` is aborted.
 *
 * Order of an orderly end: `signal` is aborted and readiness turns negative; `onModuleDestroy` of what works (pipelines,
 * workers), dependants first; `beforeApplicationShutdown`; the HTTP and RPC servers close; `onApplicationShutdown` of
 * what the work depends on (connections), dependants first.
 */
@Injectable()
export class Shutdown {
  readonly #controller = new AbortController();

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The first reason counts; by default there was no signal. */
  begin(reason = 'the application closes'): void {
    this.#controller.abort(new DOMException(reason, 'AbortError'));
  }
}
