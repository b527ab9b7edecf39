import { type TableChange } from '#change-events';
import { abortable, Backoff, type Logger, retry, toDittoError } from '#kernel';
import { type ChangeSink, QuarantinedKeys, type SinkOpenOptions } from '#replication';

/**
 * Ends all rows of tables in sinks that nothing else uses; closes the sinks. A sink that is down is waited for. Rejects
 * with what a sink can't heal, or with the signal's reason.
 */
export async function endTables({
  sinks,
  changes,
  mayDeliver,
  signal,
  logger,
}: {
  readonly sinks: readonly ChangeSink[];
  readonly changes: readonly TableChange[];
  readonly mayDeliver: () => boolean;
  readonly signal: AbortSignal;
  readonly logger: Logger;
}): Promise<void> {
  const fatal = new AbortController();
  const stop = AbortSignal.any([signal, fatal.signal]);
  const onFatal = (error: Error): void => fatal.abort(error);
  // no row is given
  const refuse: SinkOpenOptions['refuse'] = (_refused, error) => Promise.reject(error);
  const log = { logger, message: 'holding: a sink is not ready for the resync' };
  const hold = (action: () => Promise<void>): Promise<void> =>
    abortable(retry(action, { backoff: new Backoff({ initialMs: 100, maxMs: 5000 }), signal: stop, log }), stop);
  try {
    for (const sink of sinks) {
      const quarantined = new QuarantinedKeys();
      await hold(() => sink.open({ onFatal, refuse, quarantined, mayDeliver, signal: stop }));
      for (const change of changes) await hold(() => sink.applyTableChange(change));
    }
  } finally {
    for (const sink of sinks) await closeSink(sink, logger);
  }
}

async function closeSink(sink: ChangeSink, logger: Logger): Promise<void> {
  try {
    await sink.close();
  } catch (cause) {
    const { code, message } = toDittoError(cause);
    logger.warn('a sink did not close in order', { sink: sink.name, code, error: message });
  }
}
