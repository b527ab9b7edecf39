import { type Logger } from '#kernel';
import { LimitedLog } from '../logging/limited-log.ts';

export interface AnsweredRequest {
  readonly method: string;
  /** As the handler declares it, with names for what varies; null when there is no handler. */
  readonly route: string | null;
  readonly status: number;
  readonly durationMs: number;
  /** Name of the token; null when the caller showed none that is known. */
  readonly actor: string | null;
  readonly address: string | undefined;
}

const PROBES = ['/health/', '/metrics'];
const LOOKING = ['GET', 'HEAD', 'OPTIONS'];

/**
 * One line for each request: `info` for what changes something and for what failed, `debug` for the rest and for
 * probes. What anybody can cause without a token is written at `warn` and limited in rate. The URL is not shown: keys of
 * rows may be in its query.
 */
export class RequestLog {
  readonly #logger: Logger;
  readonly #denied: LimitedLog;
  readonly #unanswerable: LimitedLog;

  constructor(logger: Logger) {
    this.#logger = logger;
    this.#denied = new LimitedLog({ logger });
    this.#unanswerable = new LimitedLog({ logger });
  }

  note({ address, ...answered }: AnsweredRequest): void {
    const { method, route, status, actor } = answered;
    const failed = status >= 400;
    if (status === 401 || status === 403) this.#denied.warn('a caller was refused', { ...answered, address });
    else if (PROBES.some((probe) => route?.startsWith(probe))) this.#logger.debug('answered a request', answered);
    else if (failed && status < 500 && actor === null)
      this.#unanswerable.warn('a request that nobody can answer was refused', { ...answered, address });
    else if (failed || !LOOKING.includes(method)) this.#logger.info('answered a request', answered);
    else this.#logger.debug('answered a request', answered);
  }
}
