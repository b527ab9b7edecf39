import { type Checkpoint, GtidSet, type TableChange } from '#change-events';
import { assertPosition, type EndpointInspection, LogProof, MySqlEndpoint } from '#mysql';
import { areReadsUsedUp, type Grant, type PendingSwitch } from '#replication';
import { type SourceStores } from '../connections/source-stores.ts';
import { Closers } from './closers.ts';
import { endTables } from './end-tables.ts';
import { heal, type Healing, type HealOptions } from './heal.ts';
import { type Opening } from './opening.ts';
import { resync, type ResyncOptions } from './resync.ts';
import { type RewindOptions, rewindWhenAsked } from './rewind.ts';
import { findStartingPoint, type StartingPointOptions } from './starting-point.ts';

export type StartOptions = StartingPointOptions &
  Omit<ResyncOptions, 'askedBy'> &
  RewindOptions &
  HealOptions & {
    /** A switch that gives transactions up. */
    readonly loss: PendingSwitch | null;
  };

export interface FoundStart {
  readonly start: Checkpoint;
  /** What was given up for that. */
  readonly healing: Healing | null;
  /** UUID of the server that had it. */
  readonly lostUuid: string | null;
}

/** Where a source that is being opened continues. */
export async function findStart(opening: Opening): Promise<FoundStart> {
  const { grant, stores, logger } = opening;
  let healing: Healing | null = null;
  let lostUuid: string | null = null;
  if (areReadsUsedUp(await stores.tables.reservedReads(grant.source))) await beginReadsAgain(grant, stores);
  const closers = new Closers(logger);
  try {
    const onHealed = (done: Healing, uuid: string): void => {
      healing = done;
      lostUuid = uuid;
    };
    const start = await startFrom({ ...describeStart(opening, closers), onHealed });
    return { start: withAccepted(start, opening), healing, lostUuid };
  } finally {
    await closers.close();
  }
}

/**
 * A resync or rewind that was asked for comes first, also one that its first owner did not finish. A resync that is part of
 * a loss is done only with that loss, which is proven again; all that it may have begun is true without it.
 */
export async function startFrom(options: StartOptions): Promise<Checkpoint> {
  const { grant, resyncs } = options;
  const pending = await resyncs.pendingFor(grant.source);
  if (pending !== null && pending.askedBy !== null) return resync({ ...options, askedBy: pending.askedBy });
  if (options.loss !== null) return heal(options, options.loss);
  if (pending !== null) await resyncs.withdraw(grant);
  await rewindWhenAsked(options);
  return findStartingPoint(options);
}

function describeStart(opening: Opening, closers: Closers): Omit<StartOptions, 'onHealed'> {
  const { source, grant, asked, tables, sinks, signal, logger } = opening;
  const { dcs, state, trail, lineages, tables: tableStore, reads, resyncs, rewinds, acceptances } = opening.stores;
  const { streamed } = opening.endpoints;
  const { endpoint } = opening.inspection;
  const log = new LogProof(streamed);
  return {
    grant,
    dcs,
    state,
    lineages,
    tableStore,
    resyncs,
    rewinds,
    acceptances,
    trail,
    reads,
    loss: asked?.givesUp ? asked : null,
    mirrored: sinks.mirror?.keys ?? null,
    tombstonesMs: sinks.mirror?.tombstonesMs ?? 0,
    listUnmirrored: (versions, layouts) => sinks.listKeysAbove(versions, layouts, closers),
    current: { gtidSet: endpoint.gtidExecuted, file: '', offset: 0, serverUuid: endpoint.serverUuid },
    mirror: sinks.mirror?.lineage ?? null,
    memories: sinks.recall(closers),
    findLast: () => log.findLast(endpoint, signal),
    assertReachable: (checkpoint) => assertReachable(withAccepted(checkpoint, opening), endpoint),
    prove: (known) => log.prove(endpoint, known, signal),
    purged: endpoint.gtidPurged,
    findLost: () => sinks.findLost(closers),
    findPlace: (fileNumber, offset) => new MySqlEndpoint(streamed).findGtidsBefore(fileNumber, offset, signal),
    tables,
    listMirrored: async () => sinks.mirror?.listTables() ?? [],
    includes: opening.rules.includes,
    copiesRows: source.snapshot.mode !== 'none',
    endTables: (changes) => endInSinks(opening, changes),
    signal,
    logger,
  };
}

/** A new lineage, whose reads are numbered from 1; the starting point finds that it has outgrown the checkpoint's. */
async function beginReadsAgain(grant: Grant, { lineages }: Pick<SourceStores, 'lineages'>): Promise<void> {
  await lineages.raise(grant, (await lineages.current(grant.source)) + 1, 'the numbers of reads are used up');
}

async function endInSinks(
  { sinks, grant, stores, hooks, signal, logger }: Opening,
  changes: readonly TableChange[],
): Promise<void> {
  const closers = new Closers(logger);
  try {
    const { mayDeliver } = hooks;
    const opened = sinks.create(() => false, closers);
    const { failedEvents } = stores;
    await endTables({ sinks: opened, changes, grant, failedEvents, mayDeliver, signal, logger });
  } finally {
    await closers.close();
  }
}

/** GTIDs that the log never gives, and that an operator has accepted, count as read. */
function withAccepted(
  checkpoint: Checkpoint,
  { rules, inspection }: Pick<Opening, 'rules' | 'inspection'>,
): Checkpoint {
  const unlogged = rules.acceptGtids.intersect(GtidSet.parse(inspection.endpoint.gtidPurged));
  if (unlogged.isEmpty) return checkpoint;
  const unite = (gtidSet: string): string => GtidSet.parse(gtidSet).union(unlogged).toString();
  const position = { ...checkpoint.position, gtidSet: unite(checkpoint.position.gtidSet) };
  return { ...checkpoint, position, dispatchedSet: unite(checkpoint.dispatchedSet) };
}

/** The log after the checkpoint must be there (no gap), and all that was ever given to a sink must be in it (I7). */
function assertReachable({ position, dispatchedSet }: Checkpoint, endpoint: EndpointInspection): void {
  assertPosition({ ...position, gtidSet: dispatchedSet }, endpoint);
  assertPosition(position, endpoint);
}
