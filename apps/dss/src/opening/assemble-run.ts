import { type Checkpoint } from '#change-events';
import {
  logsCascades,
  LogRetentionProbe,
  MySqlCascadeFacts,
  MySqlChangeSource,
  MySqlTableChecks,
  MySqlProbe,
  openRowReader,
  ReplicatedChangeSource,
} from '#mysql';
import { toMySqlOptions } from '#configuration';
import { type ChangeSource, Quarantine } from '#replication';
import { watchPurging } from '../purging/purge-watch.ts';
import { type SourceParts, SourceRun } from '../sources/source-run.ts';
import { ServerWatch } from '../switching/server-watch.ts';
import { watchStandstill } from '../switching/standstill-watch.ts';
import { surveyServers } from '../switching/survey-servers.ts';
import { cascadeChoice } from './cascade-choice.ts';
import { type Opening } from './opening.ts';
import { findStartingRecords } from './starting-records.ts';
import { findStartingTables } from './starting-tables.ts';

/** Puts together what runs the source from `start` on; nothing of it runs yet. */
export async function assembleRun(opening: Opening, start: Checkpoint): Promise<SourceRun> {
  const { source, grant, config, stores, rules, sinks, closers, hooks, logger } = opening;
  const { includes, reaches, columns, keys } = rules;
  const { gtidExecuted, logEnd, serverUuid, settings } = opening.inspection.endpoint;
  const { inFlightBytes, shutdownDeadlineMs, checkpoint } = config.dss;
  const connection = opening.endpoints.streamed;
  watchForStandstill(opening, () => run.pipeline.dispatchedSet());
  const watch = createWatch(opening, () => run.pipeline.dispatchedSet());
  const run: SourceRun = new SourceRun({
    grant,
    server: { endpoint: opening.server.endpoint, serverUuid },
    watch,
    parts: {
      changeSource: createChangeSource(opening),
      ...createReaders(opening),
      sinks: sinks.create((transaction) => run.pipeline.inReplayZone(transaction), closers),
      ...(await findKnown(opening)),
      names: opening.names,
      checks: new MySqlTableChecks({ connection, keys, columns, logger }),
      includes,
      columns,
      reaches,
      lowerCaseNames: settings.lowerCaseTableNames === '1',
      cascades: describeCascades(opening),
      mirror: sinks.mirror?.keys ?? null,
      close: () => closers.close(),
    },
    start,
    endOfLog: { gtidSet: gtidExecuted, ...logEnd, serverUuid },
    reservedReads: await stores.tables.reservedReads(source.name),
    stores,
    quarantine: await openQuarantine(opening),
    snapshot: { ...source.snapshot, copiesAll: source.snapshot.mode === 'windowed' },
    ...checkpoint,
    inFlightBytes,
    drainDeadlineMs: Math.max(500, shutdownDeadlineMs - 2000),
    logger,
    hooks,
  });
  reportPurging(opening, () => run.pipeline.checkpoint());
  return run;
}

function openQuarantine({ source, grant, config, stores, hooks, logger }: Opening): Promise<Quarantine> {
  const { mostKeys, retryInitialMs } = config.failedEvents;
  return Quarantine.open({
    ...{ grant, store: stores.failedEvents, sinks: source.sinks, mostKeys, retryAfterMs: retryInitialMs },
    ...{ backoff: { initialMs: 500, maxMs: 10_000 }, logger, nowMs: Date.now },
    onRecorded: hooks.onQuarantined,
  });
}

function watchForStandstill(opening: Opening, dispatchedSet: () => string): void {
  const { source, server, endpoints, inspection, heartbeats, hooks, closers, logger } = opening;
  const probe = new MySqlProbe({ connection: () => endpoints.streamed, timeoutMs: STANDSTILL_EVERY_MS });
  const stop = new AbortController();
  const watching = watchStandstill(
    {
      ...{ endpoint: server.endpoint, waits: hooks.waits, logger, everyMs: STANDSTILL_EVERY_MS, nowMs: Date.now },
      probe: () => probe.probe(),
      leaving: mayMove(opening)
        ? {
            ...{ afterMs: source.switch.waitMs, serverUuid: inspection.endpoint.serverUuid, dispatchedSet, heartbeats },
            acceptGtids: source.acceptGtids,
            survey: (signal) => surveyServers(source, ANSWER_WITHIN_MS, signal),
            leave: hooks.leaveStandstill,
          }
        : null,
    },
    stop.signal,
  );
  closers.add(async () => {
    stop.abort();
    probe.close();
    await watching;
  });
}

function reportPurging({ source, endpoints, hooks, closers, logger }: Opening, checkpoint: () => Checkpoint): void {
  const probe = new LogRetentionProbe({ connection: () => endpoints.streamed, timeoutMs: PURGING_EVERY_MS });
  const stop = new AbortController();
  const watching = watchPurging(
    {
      ...{ source: source.name, checkpoint, logger, warnMs: source.purgeWarningMs, everyMs: PURGING_EVERY_MS },
      read: () => probe.read(),
      onForecast: hooks.onForecast,
      onShort: hooks.onPurgeNear,
    },
    stop.signal,
  );
  closers.add(async () => {
    stop.abort();
    probe.close();
    await watching;
  });
}

/** A server that takes longer to answer counts as one that does not, while its stream is broken. */
const ANSWER_WITHIN_MS = 2000;
const STANDSTILL_EVERY_MS = 10_000;
const PURGING_EVERY_MS = 10_000;

/** Whether there is another server, and the source moves by itself. */
function mayMove({ source }: Opening): boolean {
  return source.endpoints.length > 1 && source.switch.mode !== 'manual';
}

/** Null where the source stays where it is. */
function createWatch(opening: Opening, dispatchedSet: () => string): ServerWatch | null {
  const { source, server, inspection, heartbeats, hooks, closers, logger } = opening;
  if (!mayMove(opening)) return null;
  const { serverUuid } = inspection.endpoint;
  const watch = new ServerWatch({
    source: source.name,
    endpoint: server.endpoint,
    serverUuid,
    afterMs: source.switch.afterMs,
    survey: (signal) => surveyServers(source, ANSWER_WITHIN_MS, signal),
    heartbeats,
    dispatchedSet,
    acceptGtids: source.acceptGtids,
    leave: (_candidate, lostSinceMs) => hooks.leaveServer(serverUuid, lostSinceMs),
    waitMs: source.switch.waitMs,
    giveUp: source.switch.onLoss === 'heal' ? (...loss) => hooks.giveUp(...loss) : null,
    logger,
    nowMs: Date.now,
  });
  closers.add(() => {
    watch.over();
    return Promise.resolve();
  });
  return watch;
}

function createChangeSource({ source, server, endpoints, inspection, rules, hooks, logger }: Opening): ChangeSource {
  const { serverId, heartbeatMs } = source;
  const log = new MySqlChangeSource({
    connection: endpoints.streamed,
    logger,
    keys: rules.keys,
    columns: rules.columns,
    replicaId: serverId,
    heartbeatMs,
    silenceMs: 4 * heartbeatMs,
  });
  if (source.switch.dispatchAfter === 'commit') return log;
  const others = source.endpoints.filter((_, index) => index !== server.index).map(toMySqlOptions);
  const streamed = { connection: endpoints.streamed, serverUuid: inspection.endpoint.serverUuid };
  return new ReplicatedChangeSource({
    log,
    streamed,
    others,
    needed: source.switch.replicas,
    waits: hooks.waits,
    logger,
  });
}

function createReaders({ endpoints, rules, closers, logger }: Opening): Pick<SourceParts, 'catalogue' | 'reader'> {
  const { streamed, replica } = endpoints;
  const catalogue = openRowReader({ streamed, replica: null, ...rules, logger });
  closers.add(() => catalogue.close());
  if (replica === null) return { catalogue, reader: catalogue };
  const reader = openRowReader({ streamed, replica, ...rules, logger });
  closers.add(() => reader.close());
  return { catalogue, reader };
}

/** The tables that a stream begins with, and what is durable of them. */
async function findKnown(opening: Opening): Promise<Pick<SourceParts, 'tables' | 'records'>> {
  const { grant, stores, tables: catalogue, sinks, rules } = opening;
  const { includes } = rules;
  const records = await findStartingRecords({ grant, store: stores.tables, catalogue, includes });
  const mirrored = (await sinks.mirror?.listTables()) ?? [];
  // a table that was not copied and has no adopted layout left nothing in the sinks
  const copied = records.filter(({ copy, adopted }) => copy.state !== 'none' || adopted !== null);
  return { tables: findStartingTables({ catalogue, copied, mirrored, includes }), records };
}

/** Null where the log shows what foreign keys change. */
function describeCascades({ source, endpoints, rules, inspection }: Opening): SourceParts['cascades'] {
  const { includes, keys, columns } = rules;
  const { settings } = inspection.endpoint;
  if (logsCascades(settings)) return null;
  const handling = cascadeChoice(source);
  return {
    facts: new MySqlCascadeFacts({ connection: endpoints.streamed, settings, includes, keys, columns, handling }),
    keys: inspection.tables.flatMap(({ cascades }) => cascades),
    rereads: handling.cascades === 'reread',
  };
}
