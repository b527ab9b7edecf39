import { changeVersion, type TableChange, tableKey } from '#change-events';
import { abortable, Backoff, type Logger, retry, toDittoError } from '#kernel';
import {
  type ChangeSink,
  type FailedEventStore,
  type Grant,
  QuarantinedKeys,
  type SinkOpenOptions,
} from '#replication';

type StoredQuarantine = Pick<FailedEventStore, 'load' | 'settle'>;

/**
 * Ends all rows of tables in sinks that nothing else uses, and what waits of them in the quarantine; closes the sinks.
 * What is down is waited for. Rejects with what can't be healed, or with the signal's reason.
 */
export async function endTables({
  sinks,
  changes,
  grant,
  failedEvents,
  mayDeliver,
  signal,
  logger,
}: {
  readonly sinks: readonly ChangeSink[];
  readonly changes: readonly TableChange[];
  readonly grant: Grant;
  readonly failedEvents: StoredQuarantine;
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
      await hold(() => endQuarantine(failedEvents, grant, sink.name, changes));
    }
  } finally {
    for (const sink of sinks) await closeSink(sink, logger);
  }
}

async function endQuarantine(
  store: StoredQuarantine,
  grant: Grant,
  sink: string,
  changes: readonly TableChange[],
): Promise<void> {
  const quarantined = (await store.load(grant.source)).filter((key) => key.sink === sink);
  const tables = new Set(quarantined.map((key) => tableKey(key)));
  for (const change of changes) {
    const { database, table } = change.layout;
    if (!tables.has(tableKey({ database, table }))) continue;
    const ended = { sink, database, table, version: changeVersion(change) };
    await store.settle(grant, { held: [], delivered: [], endedTables: [ended] });
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
