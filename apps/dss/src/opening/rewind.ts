import {
  type Checkpoint,
  GtidSet,
  parseVersion,
  type Position,
  startVersion,
  type TableName,
  topicName,
} from '#change-events';
import { adviseResync, DittoError, toDittoError } from '#kernel';
import { isCopied, type RewindStore, type TableStore } from '#replication';
import { newestCheckpoint, saveCheckpoint, type StartingPointStores } from './starting-point.ts';

/** What a sink has lost of that it had confirmed. */
export interface LostMessages {
  readonly topics: ReadonlySet<string>;
  /** The oldest of the newest versions that are left; null when nothing is left in some partition. */
  readonly survivor: string | null;
}

/** A place in the log of the server, with the GTIDs of all that was logged before it. */
export interface PlaceInLog {
  readonly file: string;
  readonly offset: number;
  readonly gtidSet: string;
}

export interface RewindOptions extends StartingPointStores {
  /** Where the server's log is now. */
  readonly current: Position;
  /** What is not in its log any more. */
  readonly purged: string;
  readonly rewinds: RewindStore;
  readonly tableStore: TableStore;
  readonly findLost: () => Promise<LostMessages | null>;
  /** Null when that file is purged. */
  readonly findPlace: (fileNumber: number, offset: number) => Promise<PlaceInLog | null>;
}

/**
 * When an operator has asked for it: has the source continue from before the place where a sink has lost confirmed
 * messages. What follows is repeated in order, to all sinks and partitions, under the same versions, so that the mirror
 * passes over what it has. Copies of the tables that are concerned begin again, since what they read is in no log.
 *
 * The mark is removed last, with what was lost. A process that ends before leaves both, and the next begins again.
 * Where the log does not reach back, the mark is taken away and the loss is kept.
 */
export async function rewindWhenAsked(options: RewindOptions): Promise<void> {
  const { grant, rewinds, signal, logger } = options;
  const { source } = grant;
  const askedBy = await rewinds.pendingFor(source);
  if (askedBy === null) return;
  logger.info('rewinding', { source, askedBy });
  try {
    const lost = await options.findLost();
    const checkpoint = await newestCheckpoint(options);
    if (lost !== null && checkpoint !== null) {
      const position = await findPosition(options, checkpoint, lost);
      await saveCheckpoint(options, rewound(checkpoint, position));
      logger.info('rewound: the stream continues from here', { source, position, topics: lost.topics.size });
    }
    await rewinds.finish(grant, await listCopies(options, lost));
  } catch (cause) {
    if (!signal.aborted && !toDittoError(cause).retriable) await rewinds.giveUp(grant);
    throw cause;
  }
}

async function findPosition(
  options: RewindOptions,
  { source, lineage, position }: Checkpoint,
  { survivor }: LostMessages,
): Promise<Position> {
  const { current, purged } = options;
  if (survivor === null) throw impossible(source, 'a partition holds nothing from before the loss');
  const place = parseVersion(survivor);
  if (place.lineage !== lineage || position.serverUuid !== current.serverUuid)
    throw impossible(source, 'the last message before the loss comes from another server, or from before a resync');
  if (place.fileNumber === 0)
    throw impossible(source, 'the last message before the loss is older than the first change');
  const found = await options.findPlace(place.fileNumber, place.offset);
  if (found === null) throw impossible(source, `log file ${place.fileNumber} of the server is purged`);
  // GTIDs that the log never had, or has no more, stay: the server could not send them
  const before = GtidSet.parse(found.gtidSet).union(GtidSet.parse(purged));
  const gtidSet = GtidSet.parse(position.gtidSet).intersect(before).toString();
  return { gtidSet, file: found.file, offset: found.offset, serverUuid: position.serverUuid };
}

/** All that was dispatched stays known: it may come again. */
function rewound(checkpoint: Checkpoint, position: Position): Checkpoint {
  const covered = GtidSet.parse(checkpoint.position.gtidSet);
  return {
    ...checkpoint,
    position,
    dispatchedSet: GtidSet.parse(checkpoint.dispatchedSet).union(covered).toString(),
    undecidedSet: '',
    version: startVersion(checkpoint.lineage, position.file, position.offset),
    commitMicros: 0,
    lastCovered: null,
    savedAtMs: Date.now(),
  };
}

async function listCopies(
  { grant, tableStore }: RewindOptions,
  lost: LostMessages | null,
): Promise<readonly TableName[]> {
  if (lost === null) return [];
  const known = await tableStore.load(grant.source);
  return known.filter((record) => {
    const topic = topicName(grant.source, record.database, record.table);
    return isCopied(record) !== 'never' && lost.topics.has(topic);
  });
}

function impossible(source: string, why: string): DittoError {
  return new DittoError('DITTO_SOURCE_REWIND_IMPOSSIBLE', `${source} can't be rewound: ${why}`, {
    remedy: `${adviseResync(source, 'Resync')}.`,
    context: { source },
  });
}
