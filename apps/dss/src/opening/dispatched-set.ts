import { type Checkpoint, formatVersion, GtidSet } from '#change-events';
import { type SinkMemory } from '#replication';

/**
 * The dispatched set with what was given to a sink after the checkpoint was saved: what the sinks hold above it, and
 * everything that came before it from the same server (I7).
 */
export async function completeDispatchedSet(
  checkpoint: Checkpoint,
  memories: readonly SinkMemory[],
  signal: AbortSignal,
): Promise<string> {
  const { dispatchedSet, version, lineage } = checkpoint;
  const above =
    version === '' ? formatVersion({ lineage, fileNumber: 0, offset: 0, rowIndex: 0, readSequence: 0 }) : version;
  const known = GtidSet.parse(dispatchedSet);
  let set = known;
  for (const memory of memories)
    for (const gtid of await memory.gtidsAbove(above, signal))
      if (!known.containsGtid(gtid)) set = set.union(fillUpTo(gtid, known));
  return set.toString();
}

/**
 * The GTID with all numbers between it and the next lower one that is known, of the same UUID and tag: a sink need not hold
 * a row of each transaction. Gaps further down are not transactions: Group Replication gives each member a block of
 * numbers.
 */
function fillUpTo(gtid: string, known: GtidSet): GtidSet {
  const single = GtidSet.parse(gtid);
  const [entry] = single.intervals;
  if (entry === undefined) return single; // of MariaDB: everything of the domain up to it is meant
  const [sid, [number = 0]] = entry;
  const ends = (known.intervals.get(sid) ?? []).filter((_, index) => index % 2 === 1);
  const below = ends.findLast((end) => end < number) ?? 0;
  return GtidSet.parse(`${sid}:${below + 1}-${number}`);
}
