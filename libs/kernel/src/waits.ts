import { type Logger } from './logger.ts';

/** Something that is waited for. */
export interface Wait {
  /** The end of a sentence that begins with "waiting for". */
  readonly what: string;
  /** Milliseconds since 1970. */
  readonly sinceMs: number;
}

export interface WaitsOptions {
  /** A wait that lasts longer is shown and logged. */
  readonly limitMs: number;
  readonly logger: Logger;
  readonly nowMs: () => number;
}

interface OpenWait {
  readonly describe: () => string;
  readonly sinceMs: number;
  isOverdue: boolean;
}

/**
 * What is waited for, and since when. A wait is not an error and lasts as long as it must; but nothing is waited for in
 * silence: one that passes the limit is logged once, and shown until it is over.
 */
export class Waits {
  readonly #options: WaitsOptions;
  readonly #open = new Set<OpenWait>();

  constructor(options: WaitsOptions) {
    this.#options = options;
  }

  /** Those beyond the limit, the oldest first. */
  get overdue(): Wait[] {
    return [...this.#open]
      .filter(({ isOverdue }) => isOverdue)
      .map(({ describe, sinceMs }) => ({ what: describe(), sinceMs }));
  }

  /** Settles as `work` does. A `what` that is a function is called when somebody wants to know. */
  async during<T>(what: string | (() => string), work: Promise<T>): Promise<T> {
    const end = this.begin(what);
    try {
      return await work;
    } finally {
      end();
    }
  }

  /** For a wait that is no single promise: gives the function that ends it. */
  begin(what: string | (() => string)): () => void {
    const { limitMs, logger, nowMs } = this.#options;
    const describe = typeof what === 'string' ? (): string => what : what;
    const wait: OpenWait = { describe, sinceMs: nowMs(), isOverdue: false };
    const timer = setTimeout(() => {
      wait.isOverdue = true;
      logger.warn('waiting for longer than usual', { waitingFor: describe(), sinceMs: wait.sinceMs });
    }, limitMs);
    timer.unref();
    this.#open.add(wait);
    return () => {
      clearTimeout(timer);
      if (!this.#open.delete(wait) || !wait.isOverdue) return;
      logger.info('a wait is over', { waitedFor: describe(), waitedMs: nowMs() - wait.sinceMs });
    };
  }
}
