import { coversChange, type GtidSet, isGtid, type Row } from '#change-events';
import { type CoveredChanges, type Difference, type StoredRow } from './ports/verified-sink.ts';

/**
 * `missing`: the source has the row, the sink does not. `extra`: the other way round. `different`: other values.
 * `damaged`: what is stored is not what Ditto writes, or has a version that no change can have. `undecodable`: the stored
 * values can't be read. `gap`: not a row, but a change of the log that a topic has no message of.
 */
export type MismatchKind = 'missing' | 'extra' | 'different' | 'damaged' | 'undecodable' | 'gap';

export interface Fault {
  readonly kind: MismatchKind;
  /** Of a `different` row. */
  readonly differences: readonly Difference[];
  /** Of a `damaged` one: what is wrong with it. */
  readonly damage: string | null;
}

/** `moving`: the sink may have a change that was not there when the source was read; nothing can be said. */
export type Judgement = 'equal' | 'moving' | Fault;

/** Versions that bound what is judged. */
export interface Bounds {
  /** Of the checkpoint that was read before the source. */
  readonly checkpoint: string;
  /** What that checkpoint covers. */
  readonly covered: GtidSet;
  /** No change can have a higher one; read after what is stored. */
  readonly highest: string;
  /** Each row that was deleted since the checkpoint was read had its trace in the sink when the sink was read. */
  readonly keptTraces: boolean;
}

/**
 * Judges one key. The source was read when it had executed all that the checkpoint covers, and what is stored was read
 * when the checkpoint covered all that the source's read can have seen. What is stored with a version up to the
 * checkpoint's has not changed in between, so the two must be equal; nothing stored counts as the lowest version.
 * A row that was deleted in between has a trace in the sink; where traces may have been removed, its absence says nothing.
 */
export function judge(row: Row | null, stored: StoredRow | null, bounds: Bounds): Judgement {
  const { highest } = bounds;
  if (row !== null && stored === null && !bounds.keptTraces) return 'moving';
  const isMoving = stored !== null && !(row === null && stored.isDeleted) && !isCovered(stored, bounds);
  return isMoving && findDamage(stored, highest) === null ? 'moving' : judgeAtRest(row, stored, highest);
}

function isCovered(
  { version, gtid }: StoredRow,
  { checkpoint, covered }: Pick<Bounds, 'checkpoint' | 'covered'>,
): boolean {
  return version !== null && coversChange({ version: checkpoint, covered }, { version, gtid });
}

/** Whether the checkpoint covers what is stored, and nothing speaks against that: it may be compared with the row. */
export function isAtRest(stored: StoredRow, { version, covered }: CoveredChanges): boolean {
  return isCovered(stored, { checkpoint: version, covered }) && findDamage(stored, version) === null;
}

/** As `judge`, of a key of which nothing is under way to the sink. */
export function judgeAtRest(row: Row | null, stored: StoredRow | null, highest: string): 'equal' | Fault {
  if (stored === null) return row === null ? 'equal' : fault('missing');
  const damage = findDamage(stored, highest);
  return damage === null ? compare(row, stored) : { ...fault('damaged'), damage };
}

/** The same without bounds: `row` is what the change that is stored has left. */
export function compare(row: Row | null, stored: StoredRow): 'equal' | Fault {
  if (row === null) return stored.isDeleted ? 'equal' : fault('extra');
  if (stored.isDeleted) return fault('missing');
  const differences = stored.compare(row);
  if (differences === null) return fault('undecodable');
  return differences.length === 0 ? 'equal' : { ...fault('different'), differences };
}

function findDamage({ damage, version, gtid, outrankedBy = null }: StoredRow, highest: string): string | null {
  if (damage !== null) return damage;
  // in a document of an older lineage it decides what is judged: nothing would ever be said of what is not a GTID
  if (gtid !== null && !isGtid(gtid)) return 'its gtid is no GTID';
  if (version === null) return 'its version is missing or malformed';
  if (version > highest) return `its version ${version} is above all that the log can have given (${highest})`;
  return outrankedBy !== null && outrankedBy > highest
    ? `before it came a version ${outrankedBy}, which is above all that the log can have given (${highest})`
    : null;
}

function fault(kind: MismatchKind): Fault {
  return { kind, differences: [], damage: null };
}
