import { type Checkpoint } from '#change-events';
import { type Logger, sleep, toDittoError } from '#kernel';
import { type LogRetention } from '#mysql';
import { type PurgeForecast, PurgeForecaster } from './purge-forecast.ts';

export interface PurgeWatchOptions {
  readonly source: string;
  readonly read: () => Promise<LogRetention | null>;
  readonly checkpoint: () => Checkpoint;
  /** Less time left is warned of. */
  readonly warnMs: number;
  readonly everyMs: number;
  readonly onForecast: (forecast: PurgeForecast | null) => void;
  /** When it is warned. */
  readonly onShort: (forecast: PurgeForecast) => void;
  readonly logger: Logger;
}

/**
 * Asks the server that is streamed now and then how long it keeps what was not read yet, and warns once when that gets
 * short. A server that does not answer leaves the last forecast. Resolves when `signal` is aborted.
 */
export async function watchPurging(options: PurgeWatchOptions, signal: AbortSignal): Promise<void> {
  const { source, read, checkpoint, warnMs, everyMs, onForecast, onShort, logger } = options;
  const forecaster = new PurgeForecaster();
  let isShort = false;
  while (!signal.aborted) {
    try {
      const retention = await read();
      const forecast = retention && forecaster.look(retention, checkpoint());
      onForecast(forecast);
      const wasShort = isShort;
      // what is not known does not end a warning
      if (forecast !== null) isShort = forecast.leftMs !== null && forecast.leftMs < warnMs;
      if (forecast !== null && isShort && !wasShort) {
        onShort(forecast);
        logger.warn('the server soon removes log that was not read yet', {
          source,
          ...forecast,
          remedy:
            'See what holds the source up (waits, sinks), or have the server keep its log for longer: SET PERSIST binlog_expire_logs_seconds = …. Log that is gone needs a resync.',
        });
      }
      if (!isShort && wasShort)
        logger.info('the server keeps what was not read for long enough again', { source, ...forecast });
    } catch (cause) {
      const { code, message } = toDittoError(cause);
      logger.debug('the server could not be asked how long it keeps its log', { source, code, error: message });
    }
    await sleep(everyMs, signal).catch(() => undefined);
  }
}
