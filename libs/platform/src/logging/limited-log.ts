import { type LogFields, type Logger } from '#kernel';

export interface LimitedLogOptions {
  readonly logger: Logger;
  /** At most one line in this time; 10 s by default. */
  readonly everyMs?: number;
}

/**
 * Lines that somebody outside can cause as often as they like: the first is written at once, what follows within
 * `everyMs` is counted, and the count is written when that time is over, with the newest of them.
 */
export class LimitedLog {
  readonly #logger: Logger;
  readonly #everyMs: number;
  #timer: NodeJS.Timeout | null = null;
  #newest: { readonly message: string; readonly fields: LogFields } | null = null;
  #withheld = 0;

  constructor({ logger, everyMs = 10_000 }: LimitedLogOptions) {
    this.#logger = logger;
    this.#everyMs = everyMs;
  }

  warn(message: string, fields: LogFields): void {
    if (this.#timer !== null) {
      this.#newest = { message, fields };
      this.#withheld++;
      return;
    }
    this.#logger.warn(message, fields);
    this.#rest();
  }

  #rest(): void {
    this.#timer = setTimeout(() => {
      this.#timer = null;
      const newest = this.#newest;
      if (newest === null) return;
      this.#logger.warn(newest.message, { ...newest.fields, times: this.#withheld });
      this.#newest = null;
      this.#withheld = 0;
      this.#rest();
    }, this.#everyMs).unref();
  }
}
