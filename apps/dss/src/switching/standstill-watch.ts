import { type Logger, sleep, toDittoError, type Waits } from '#kernel';
import { type EndpointVitals, findStandstill } from '#mysql';

export interface StandstillWatchOptions {
  /** `host:port` of the server that is streamed. */
  readonly endpoint: string;
  readonly probe: () => Promise<EndpointVitals>;
  readonly waits: Waits;
  readonly logger: Logger;
  readonly everyMs: number;
}

/**
 * Asks the server that is streamed now and then whether it can show anything new: a replica whose replication is stopped,
 * or a primary that was made read-only, answers and is silent. That is reported as a wait of the source; what to do about
 * it is for a person. Resolves when `signal` is aborted.
 */
export async function watchStandstill(options: StandstillWatchOptions, signal: AbortSignal): Promise<void> {
  const { endpoint, probe, waits, logger, everyMs } = options;
  let reason = '';
  let end: (() => void) | null = null;
  while (!signal.aborted) {
    try {
      const found = findStandstill(await probe())?.error ?? null;
      reason = found?.message ?? '';
      if (found !== null) end ??= waits.begin(() => `${endpoint} to show changes again: ${reason}`);
      else {
        end?.();
        end = null;
      }
    } catch (cause) {
      // one that does not answer is the stream's business
      const { code, message } = toDittoError(cause);
      logger.debug('the server could not be asked whether it stands still', { endpoint, code, error: message });
    }
    await sleep(everyMs, signal).catch(() => undefined);
  }
  end?.();
}
