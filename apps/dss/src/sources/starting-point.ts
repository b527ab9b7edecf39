import { GtidSet, type Checkpoint, type Position } from '#change-events';
import { type Logger } from '#kernel';
import { type CheckpointStore, type Grant, type LineageStore } from '#replication';

/** The lineage that the mirror itself remembers, 0 at first; it outlives a lost state database. */
export interface RememberedLineage {
  read(): Promise<number>;
  raise(lineage: number): Promise<void>;
}

export interface StartingPointOptions {
  readonly grant: Grant;
  /** Where the server's log stands now. */
  readonly current: Position;
  readonly dcs: CheckpointStore;
  readonly state: CheckpointStore;
  readonly lineages: LineageStore;
  /** Null when the source has no mirror. */
  readonly mirror: RememberedLineage | null;
  /** Throws unless the server can go on from this checkpoint without a gap (I7). */
  readonly assertReachable: (checkpoint: Checkpoint) => void;
  readonly logger: Logger;
}

/**
 * Where a source goes on: behind its checkpoint, or, seen for the first time, behind what its server has executed now.
 * Coordinates that can't be compared with those in use (another server, stores that disagree) get a new lineage, raised
 * before anything is dispatched.
 */
export async function findStartingPoint(options: StartingPointOptions): Promise<Checkpoint> {
  const { grant, current, lineages, mirror, logger } = options;
  const checkpoint = await newestCheckpoint(options);
  const known = [await lineages.current(grant.source), (await mirror?.read()) ?? 0, checkpoint?.lineage ?? 0];
  const highest = Math.max(...known);
  if (checkpoint === null) {
    logger.info('the source is seen for the first time', { source: grant.source, position: current });
    const lineage = await raise(options, highest + 1, 'first start');
    const first = {
      source: grant.source,
      lineage,
      position: current,
      dispatchedSet: current.gtidSet,
      version: '',
      commitMicros: 0,
    };
    return save(options, { ...first, savedAtMs: Date.now() });
  }
  options.assertReachable(checkpoint);
  const moved = checkpoint.position.serverUuid !== current.serverUuid;
  const agreed = known.every((lineage) => lineage === 0 || lineage === checkpoint.lineage);
  if (!moved && agreed) return checkpoint;
  const lineage = await raise(
    options,
    highest + 1,
    moved ? `server ${current.serverUuid} instead of ${checkpoint.position.serverUuid}` : 'the stores disagree',
  );
  const position = moved
    ? { ...checkpoint.position, file: '', offset: 0, serverUuid: current.serverUuid }
    : checkpoint.position;
  return save(options, { ...checkpoint, lineage, position, version: '', savedAtMs: Date.now() });
}

/** Either copy is true; the one that covers the other repeats less. */
async function newestCheckpoint({ grant, dcs, state }: StartingPointOptions): Promise<Checkpoint | null> {
  const durable = await state.load(grant.source);
  const hot = await dcs.load(grant.source);
  if (hot === null || durable === null) return hot ?? durable;
  if (hot.lineage !== durable.lineage) return hot.lineage > durable.lineage ? hot : durable;
  return GtidSet.parse(hot.position.gtidSet).contains(GtidSet.parse(durable.position.gtidSet)) ? hot : durable;
}

async function raise(
  { grant, lineages, mirror, logger }: StartingPointOptions,
  to: number,
  reason: string,
): Promise<number> {
  await lineages.raise(grant, to, reason);
  await mirror?.raise(to);
  logger.info('new lineage', { source: grant.source, lineage: to, reason });
  return to;
}

async function save({ grant, dcs, state }: StartingPointOptions, checkpoint: Checkpoint): Promise<Checkpoint> {
  await state.save(grant, checkpoint);
  await dcs.save(grant, checkpoint);
  return checkpoint;
}
