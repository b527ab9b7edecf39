import { type Checkpoint, type LoggedTransaction, mergeCheckpoints, type Position, startVersion } from '#change-events';
import { DittoError, toDittoError, type Logger, adviseResync } from '#kernel';
import {
  type CheckpointStore,
  type Grant,
  type LineageStore,
  type LogAcceptanceStore,
  type SinkMemory,
} from '#replication';
import { completeDispatchedSet } from './dispatched-set.ts';

/** The lineage that the mirror itself remembers, 0 at first; it outlives a lost state database. */
export interface RememberedLineage {
  read(): Promise<number>;
  raise(lineage: number): Promise<void>;
}

/** Where lineages and checkpoints of a source are kept. */
export interface StartingPointStores {
  readonly grant: Grant;
  readonly dcs: CheckpointStore;
  readonly state: CheckpointStore;
  readonly lineages: LineageStore;
  /** Null when the source has no mirror. */
  readonly mirror: RememberedLineage | null;
  /** What the sinks themselves know. */
  readonly memories: readonly SinkMemory[];
  readonly signal: AbortSignal;
  readonly logger: Logger;
}

/** The log of the server that the source is to continue with. */
export interface StartingLog {
  /** Where the log is now. */
  readonly current: Position;
  /** The last transaction that it holds; null when there is none. */
  readonly findLast: () => Promise<Omit<LoggedTransaction, 'lineage'> | null>;
  /** Throws unless the server can continue from this checkpoint without a gap (I7). */
  readonly assertReachable: (checkpoint: Checkpoint) => void;
  /**
   * Finds transactions that were read before, oldest first, as they lie in this log. Throws `DITTO_SOURCE_LOG_REPLACED` when
   * it holds others in their place, `DITTO_SOURCE_LOG_UNPROVEN` when what held the newest of them is purged.
   */
  readonly prove: (
    known: readonly LoggedTransaction[],
  ) => Promise<readonly (Omit<LoggedTransaction, 'lineage'> | null)[]>;
}

export interface StartingPointOptions extends StartingPointStores, StartingLog {
  readonly acceptances: LogAcceptanceStore;
}

/** The log itself was not asked yet: an acceptance stays for the opening that does, such as that of an accepted loss. */
const BEFORE_PROOF: ReadonlySet<string> = new Set(['DITTO_SOURCE_GTIDS_MISSING', 'DITTO_SOURCE_PURGED']);

/**
 * Where a source continues: after its checkpoint, or, seen for the first time, after what its server has executed now.
 * Coordinates that can't be compared with those in use (another server, stores that disagree) get a new lineage, raised
 * before anything is dispatched.
 */
export async function findStartingPoint(options: StartingPointOptions): Promise<Checkpoint> {
  const { grant, acceptances, signal } = options;
  const acceptedBy = await acceptances.acceptedBy(grant.source);
  if (acceptedBy === null) return findFrom(options, null);
  try {
    // the mark is used up when the stores have what was accepted, or when it is of no use
    const start = await saveCheckpoint(options, await findFrom(options, acceptedBy));
    await acceptances.finish(grant);
    return start;
  } catch (cause) {
    const { code, retriable } = toDittoError(cause);
    if (!signal.aborted && !retriable && !BEFORE_PROOF.has(code)) await acceptances.finish(grant);
    throw cause;
  }
}

async function findFrom(options: StartingPointOptions, acceptedBy: string | null): Promise<Checkpoint> {
  const { grant, current, logger } = options;
  const checkpoint = await newestCheckpoint(options);
  await assertNothingLost(options, checkpoint);
  if (checkpoint === null) {
    logger.info('the source is seen for the first time', { source: grant.source, position: current });
    return beginFirst(options);
  }
  const moved = checkpoint.position.serverUuid !== current.serverUuid;
  const dispatchedSet = moved
    ? await completeDispatchedSet(checkpoint, options.memories, options.signal)
    : checkpoint.dispatchedSet;
  options.assertReachable({ ...checkpoint, dispatchedSet });
  const proven = await proveLog(options, { ...checkpoint, dispatchedSet }, acceptedBy);
  if (moved) return beginLineage(options, proven, { moved });
  if (await agrees(options, checkpoint)) return proven;
  return beginLineage(options, proven, { moved, reason: 'the stores disagree' });
}

/** Either copy is true: the newer one repeats less, and what either knows to be dispatched may be in the sinks (I7). */
export async function newestCheckpoint({
  grant,
  dcs,
  state,
}: Pick<StartingPointStores, 'dcs' | 'state'> & {
  readonly grant: Pick<Grant, 'source'>;
}): Promise<Checkpoint | null> {
  return mergeCheckpoints(await state.load(grant.source), await dcs.load(grant.source))?.checkpoint ?? null;
}

/** Of the state database, the mirror, and the checkpoints; 0 where none is known. */
export async function knownLineages(
  { grant, lineages, mirror }: StartingPointStores,
  ...checkpoints: readonly (Checkpoint | null | undefined)[]
): Promise<readonly number[]> {
  return [
    await lineages.current(grant.source),
    (await mirror?.read()) ?? 0,
    ...checkpoints.map((checkpoint) => checkpoint?.lineage ?? 0),
  ];
}

/** The checkpoint of a source that begins after `current`: nothing was dispatched beyond it. */
export function checkpointBehind(
  source: string,
  lineage: number,
  current: Position,
  last: Omit<LoggedTransaction, 'lineage'> | null,
): Checkpoint {
  const logged = last && { ...last, lineage };
  return {
    source,
    lineage,
    position: current,
    dispatchedSet: current.gtidSet,
    undecidedSet: '',
    version: startVersion(lineage, current.file, current.offset),
    commitMicros: 0,
    lastCovered: logged,
    lastDispatched: logged,
    savedAtMs: Date.now(),
  };
}

export async function raiseLineage(
  { grant, lineages, logger }: Pick<StartingPointStores, 'grant' | 'lineages' | 'logger'>,
  to: number,
  reason: string,
): Promise<number> {
  await lineages.raise(grant, to, reason);
  logger.info('new lineage', { source: grant.source, lineage: to, reason });
  return to;
}

export async function saveCheckpoint(
  { grant, dcs, state }: StartingPointStores,
  checkpoint: Checkpoint,
): Promise<Checkpoint> {
  await state.save(grant, checkpoint);
  await dcs.save(grant, checkpoint);
  return checkpoint;
}

/**
 * A start without a checkpoint although a sink holds changes would leave rows in it that are gone by now; one without the
 * state database would forget which tables are to be read again.
 */
export async function assertNothingLost(options: StartingPointOptions, checkpoint: Checkpoint | null): Promise<void> {
  const { grant, state, lineages, memories, signal } = options;
  const { source } = grant;
  if (checkpoint === null) {
    const newest = Math.max(0, ...(await Promise.all(memories.map((memory) => memory.newestLineage(signal)))));
    if (newest > 0) throw lost(source, `its sinks hold changes of lineage ${newest}, and no checkpoint of it is known`);
    return;
  }
  const lineage = await lineages.current(source);
  if ((await state.load(source)) === null || lineage < checkpoint.lineage)
    throw lost(
      source,
      `its checkpoint is of lineage ${checkpoint.lineage}, and the state database knows ${lineage === 0 ? 'none' : `only ${lineage}`}`,
    );
}

function lost(source: string, what: string): DittoError {
  return new DittoError('DITTO_SOURCE_CHECKPOINT_LOST', `what was stored of ${source} is lost: ${what}`, {
    remedy: `Bring the state database back as it was, or ${adviseResync(source)}.`,
    context: { source },
  });
}

/** The mirror learns the lineage last: it is remembered there only when a checkpoint is, so that the two can be held together. */
async function beginFirst(options: StartingPointOptions): Promise<Checkpoint> {
  const { grant, current, mirror } = options;
  const last = await options.findLast();
  const lineage = await raiseLineage(options, Math.max(...(await knownLineages(options))) + 1, 'first start');
  const start = await saveCheckpoint(options, checkpointBehind(grant.source, lineage, current, last));
  await mirror?.raise(lineage);
  return start;
}

async function agrees(options: StartingPointOptions, { lineage }: Checkpoint): Promise<boolean> {
  const known = await knownLineages(options);
  return known.every((one) => one === 0 || one === lineage);
}

export async function beginLineage(
  options: StartingPointOptions,
  checkpoint: Checkpoint,
  {
    moved,
    reason = `server ${options.current.serverUuid} instead of ${checkpoint.position.serverUuid}`,
    prepare = () => Promise.resolve(),
  }: {
    /** Whether places in the log of before say nothing about this one. */
    readonly moved: boolean;
    readonly reason?: string;
    /** What must be durable before a checkpoint of the lineage is. */
    readonly prepare?: (lineage: number) => Promise<void>;
  },
): Promise<Checkpoint> {
  const { current, mirror } = options;
  const from = checkpoint.position;
  const highest = Math.max(...(await knownLineages(options, checkpoint)));
  const lineage = await raiseLineage(options, highest + 1, reason);
  await mirror?.raise(lineage);
  await prepare(lineage);
  const position = moved ? { ...from, file: '', offset: 0, serverUuid: current.serverUuid } : from;
  const { lastCovered, lastDispatched } = checkpoint;
  return saveCheckpoint(options, {
    ...checkpoint,
    lineage,
    position,
    undecidedSet: '', // the stream gives them again
    version: startVersion(lineage, position.file, position.offset),
    lastCovered: lastCovered && { ...lastCovered, lineage },
    lastDispatched: lastDispatched && { ...lastDispatched, lineage },
    savedAtMs: Date.now(),
  });
}

/**
 * The checkpoint with its transactions as they lie in the log of this server; without them where an operator has accepted a
 * log that proves nothing.
 */
export async function proveLog(
  { prove, logger }: StartingPointOptions,
  checkpoint: Checkpoint,
  acceptedBy: string | null,
): Promise<Checkpoint> {
  const { source, lineage, lastCovered, lastDispatched } = checkpoint;
  try {
    const known = [lastCovered, lastDispatched].filter((one) => one !== null);
    const found = await prove(known);
    const placeOf = (logged: LoggedTransaction | null): LoggedTransaction | null => {
      const place = logged && found[known.indexOf(logged)];
      return place ? { ...place, lineage } : null;
    };
    return { ...checkpoint, lastCovered: placeOf(lastCovered), lastDispatched: placeOf(lastDispatched) };
  } catch (cause) {
    const { code, message } = toDittoError(cause);
    if (code !== 'DITTO_SOURCE_LOG_UNPROVEN' || acceptedBy === null) throw cause;
    logger.warn('the log proves nothing, and is accepted', { source, acceptedBy, code, error: message });
    return { ...checkpoint, lastCovered: null, lastDispatched: null };
  }
}
