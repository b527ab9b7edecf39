import { type Checkpoint, mergeCheckpoints, type Position } from '#change-events';
import { type Logger } from '#kernel';
import { type CheckpointStore, type Grant, type LineageStore } from '#replication';

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
  readonly logger: Logger;
}

export interface StartingPointOptions extends StartingPointStores {
  /** Where the server's log stands now. */
  readonly current: Position;
  /** Throws unless the server can go on from this checkpoint without a gap (I7). */
  readonly assertReachable: (checkpoint: Checkpoint) => void;
}

/**
 * Where a source goes on: behind its checkpoint, or, seen for the first time, behind what its server has executed now.
 * Coordinates that can't be compared with those in use (another server, stores that disagree) get a new lineage, raised
 * before anything is dispatched.
 */
export async function findStartingPoint(options: StartingPointOptions): Promise<Checkpoint> {
  const { grant, current, logger } = options;
  const checkpoint = await newestCheckpoint(options);
  const known = await knownLineages(options, checkpoint);
  const highest = Math.max(...known);
  if (checkpoint === null) {
    logger.info('the source is seen for the first time', { source: grant.source, position: current });
    const lineage = await raiseLineage(options, highest + 1, 'first start');
    return saveCheckpoint(options, checkpointBehind(grant.source, lineage, current));
  }
  options.assertReachable(checkpoint);
  const moved = checkpoint.position.serverUuid !== current.serverUuid;
  const agreed = known.every((lineage) => lineage === 0 || lineage === checkpoint.lineage);
  if (!moved && agreed) return checkpoint;
  const lineage = await raiseLineage(
    options,
    highest + 1,
    moved ? `server ${current.serverUuid} instead of ${checkpoint.position.serverUuid}` : 'the stores disagree',
  );
  const position = moved
    ? { ...checkpoint.position, file: '', offset: 0, serverUuid: current.serverUuid }
    : checkpoint.position;
  return saveCheckpoint(options, { ...checkpoint, lineage, position, version: '', savedAtMs: Date.now() });
}

/** Either copy is true: the newer one repeats less, and what either knows to be dispatched may be in the sinks (I7). */
export async function newestCheckpoint({
  grant,
  dcs,
  state,
}: Pick<StartingPointStores, 'grant' | 'dcs' | 'state'>): Promise<Checkpoint | null> {
  return mergeCheckpoints(await state.load(grant.source), await dcs.load(grant.source))?.checkpoint ?? null;
}

/** Of the state database, the mirror, and the newest checkpoint; 0 where none is known. */
export async function knownLineages(
  { grant, lineages, mirror }: StartingPointStores,
  checkpoint: Checkpoint | null,
): Promise<readonly number[]> {
  return [await lineages.current(grant.source), (await mirror?.read()) ?? 0, checkpoint?.lineage ?? 0];
}

/** The checkpoint of a source that begins behind `current`: nothing was dispatched beyond it. */
export function checkpointBehind(source: string, lineage: number, current: Position): Checkpoint {
  return {
    source,
    lineage,
    position: current,
    dispatchedSet: current.gtidSet,
    version: '',
    commitMicros: 0,
    lastCovered: null,
    lastDispatched: null,
    savedAtMs: Date.now(),
  };
}

export async function raiseLineage(
  { grant, lineages, mirror, logger }: StartingPointStores,
  to: number,
  reason: string,
): Promise<number> {
  await lineages.raise(grant, to, reason);
  await mirror?.raise(to);
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
