import { GtidSet } from './gtid-set.ts';
import { type TransactionInfo } from './change.ts';
import { type Position } from './position.ts';
import { binlogFileNumber, lineageOf } from './version.ts';

/**
 * A transaction as a log holds it: enough to recognise it later. A GTID alone is not enough, since a log that was reset
 * gives the same numbers to other transactions.
 */
export interface LoggedTransaction {
  readonly gtid: string;
  /** The server whose log holds it at this place. */
  readonly serverUuid: string;
  /** The lineage that the place was read under. */
  readonly lineage: number;
  readonly file: string;
  /** Where its first event begins. */
  readonly offset: number;
  /** When it was first committed, microseconds since 1970; MariaDB's log knows only the second. */
  readonly commitMicros: number;
  /** Of its content, for MariaDB; '' where the commit time is exact, or the end of the transaction was not read yet. */
  readonly digest: string;
}

/** Null for a transaction without a GTID. */
export function describeLogged(transaction: TransactionInfo, digest: string): LoggedTransaction | null {
  const { gtid, serverUuid, file, offset, commitMicros, versionPrefix } = transaction;
  if (gtid === null) return null;
  return { gtid, serverUuid, lineage: lineageOf(versionPrefix), file, offset, commitMicros, digest };
}

/** The newest position such that every change at or before it is confirmed by every sink (I1). */
export interface Checkpoint {
  readonly source: string;
  readonly lineage: number;
  readonly position: Position;
  /** GTIDs of all transactions that were given to a sink when this was written, confirmed or not. */
  readonly dispatchedSet: string;
  /**
   * GTIDs of the XA PREPAREs that the log holds up to this position and that are in no set yet, since their outcome comes
   * after it: the server has executed them, and no read sees their rows. '' in records of earlier versions of Ditto.
   */
  readonly undecidedSet: string;
  /**
   * Version of the last transaction covered (row index ffffffff, read sequence ffffffff); before the first, `startVersion` of
   * the place where the stream began. '' only in records of earlier versions of Ditto, where that place was not kept.
   */
  readonly version: string;
  /** Commit time of the last transaction covered, microseconds since 1970; 0 before the first. */
  readonly commitMicros: number;
  /**
   * The last transaction covered; before the first of a source, the last one that its server's log held at the start.
   * Null when there was none in the log, or the record is older than this field: then nothing can be compared.
   */
  readonly lastCovered: LoggedTransaction | null;
  /** The last transaction that was given to a sink, or begun to be, when this was written; null as above. */
  readonly lastDispatched: LoggedTransaction | null;
  /** When this was written, milliseconds since 1970, by the writer's clock; each of one writer is later than the one before. */
  readonly savedAtMs: number;
}

/** A checkpoint with the fencing token that it was written under; 0 where the token is not known. */
export interface StoredCheckpoint {
  readonly token: number;
  readonly checkpoint: Checkpoint;
}

const VERSION_DIGITS = 44;

/**
 * The order of checkpoints: by lineage, then fencing token, then version, where '' is before every version, then the time
 * when it was written: with one position, the one that was written later knows more that was dispatched. It is text of
 * fixed width that sorts in that order, so that SQL and Lua compare it as it is. This is the only definition.
 */
export function checkpointRank(
  token: number,
  { lineage, version, savedAtMs }: Pick<Checkpoint, 'lineage' | 'version' | 'savedAtMs'>,
): string {
  return hex(lineage, 8) + hex(token, 14) + version.padEnd(VERSION_DIGITS, '0') + hex(savedAtMs, 12);
}

/** Negative when `a` is older than `b`. */
export function compareCheckpoints(a: StoredCheckpoint, b: StoredCheckpoint): number {
  return compareText(checkpointRank(a.token, a.checkpoint), checkpointRank(b.token, b.checkpoint));
}

/**
 * What two copies of a source's checkpoint say together: the newer position, and all that either knows to be dispatched
 * (each is only a lower bound). Copies can be merged in any order. One of an older lineage says nothing: what it knew was
 * taken over when the lineage was raised, or was given up by a resync.
 */
export function mergeCheckpoints(a: StoredCheckpoint | null, b: StoredCheckpoint | null): StoredCheckpoint | null {
  if (a === null || b === null) return a ?? b;
  const { token, checkpoint } = compareCopies(a, b) < 0 ? b : a;
  if (a.checkpoint.lineage !== b.checkpoint.lineage) return { token, checkpoint };
  const dispatched = GtidSet.parse(a.checkpoint.dispatchedSet).union(GtidSet.parse(b.checkpoint.dispatchedSet));
  const lastDispatched = laterOf(a.checkpoint.lastDispatched, b.checkpoint.lastDispatched);
  return { token, checkpoint: { ...checkpoint, dispatchedSet: dispatched.toString(), lastDispatched } };
}

/**
 * Whether a change with this version and GTID is confirmed for good. One of an older lineage ranks below the checkpoint
 * although its transaction may be given again: then its GTID decides. Text that is not a GTID is never covered.
 */
export function coversChange(
  checkpoint: { readonly version: string; readonly covered: GtidSet },
  { version, gtid }: { readonly version: string; readonly gtid: string | null },
): boolean {
  if (version > checkpoint.version) return false;
  if (gtid === null || lineageOf(version) === lineageOf(checkpoint.version)) return true;
  try {
    return checkpoint.covered.containsGtid(gtid);
  } catch {
    return false;
  }
}

/** The one that was read under the higher lineage, or at the higher place of the same lineage. */
export function laterOf(a: LoggedTransaction | null, b: LoggedTransaction | null): LoggedTransaction | null {
  if (a === null || b === null) return a ?? b;
  const order =
    a.lineage - b.lineage ||
    binlogFileNumber(a.file) - binlogFileNumber(b.file) ||
    a.offset - b.offset ||
    // a digest is known only once the transaction is complete
    compareText(a.digest, b.digest) ||
    compareText(textOfLogged(a), textOfLogged(b));
  return order < 0 ? b : a;
}

/** Total on everything that `mergeCheckpoints` takes from one copy only, so that equal ranks are settled alike in any order. */
function compareCopies(a: StoredCheckpoint, b: StoredCheckpoint): number {
  return (
    compareCheckpoints(a, b) ||
    a.checkpoint.savedAtMs - b.checkpoint.savedAtMs ||
    compareText(textOf(a.checkpoint), textOf(b.checkpoint))
  );
}

function textOf({ source, position, undecidedSet, commitMicros, lastCovered }: Checkpoint): string {
  const { gtidSet, file, offset, serverUuid } = position;
  return JSON.stringify([
    source,
    gtidSet,
    file,
    offset,
    serverUuid,
    undecidedSet,
    commitMicros,
    lastCovered && textOfLogged(lastCovered),
  ]);
}

/** Field by field: a store may give back an object with its fields in another order. */
function textOfLogged({ gtid, serverUuid, lineage, file, offset, commitMicros, digest }: LoggedTransaction): string {
  return JSON.stringify([gtid, serverUuid, lineage, file, offset, commitMicros, digest]);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
