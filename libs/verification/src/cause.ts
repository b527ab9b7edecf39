import { type Fault } from './judgement.ts';
import { type RecordedTable } from './ports/recorded-stream.ts';

/**
 * Why what a sink holds of a key is not the row of the source.
 *
 * - `none`: they are equal.
 * - `filtered`: the configuration keeps the row, or the table, from the sink.
 * - `changed outside Ditto`: the sink has what no change of Ditto can have left there.
 * - `in the quarantine`: the sink has refused the row, and its later changes are held back.
 * - `lost`: the log has a newer change than the sink, and the checkpoint says that it was confirmed.
 * - `being re-read`: a read that ends the difference is under way.
 * - `moving`: there is a change that the checkpoint does not cover yet.
 * - `unknown`: none of these is proven.
 */
export type Cause =
  'none' | 'filtered' | 'changed outside Ditto' | 'in the quarantine' | 'lost' | 'being re-read' | 'moving' | 'unknown';

/** What is known of one key. Null: not to be had, and nothing is concluded from it. */
export interface KeyFacts {
  /** What of the configuration leaves it out; null when nothing does. */
  readonly filteredBy: string | null;
  /** `unseen`: DSS has not come to the table yet. */
  readonly copied: RecordedTable['copied'] | 'unseen' | null;
  /** The failed event of the row in this sink; null when there is none. */
  readonly refused: string | null;
  /** An open read that has this key in it; null when there is none. */
  readonly reread: string | null;
  /** Of the row and what is stored, damage included. */
  readonly comparison: 'equal' | Fault | null;
  /** Of what is stored; null for nothing, and for no version. */
  readonly storedVersion: string | null;
  /** Of what is stored and what the change that its version names has left. */
  readonly againstNamed: 'equal' | Fault | null;
  /** Read before what is stored, so that everything it covers was there then; '' before the first. */
  readonly checkpoint: string | null;
  /** The first change of the key in the log after what is stored; null when there is none in what was read of it. */
  readonly nextLogged: string | null;
}

export interface CauseFound {
  readonly cause: Cause;
  /** A sentence for people. */
  readonly because: string;
}

/** Says only what the facts prove. */
export function findCause(facts: KeyFacts): CauseFound {
  const { filteredBy, copied, refused, reread, comparison } = facts;
  const { storedVersion, againstNamed, checkpoint, nextLogged } = facts;
  if (filteredBy !== null) return { cause: 'filtered', because: `It is left out by ${filteredBy}.` };
  if (comparison === 'equal') return { cause: 'none', because: 'What is stored is the row.' };
  if (comparison === null)
    return { cause: 'unknown', because: 'The row and what is stored could not be compared: see their parts.' };
  if (comparison.damage !== null)
    return { cause: 'changed outside Ditto', because: `Ditto writes no such document: ${comparison.damage}.` };
  if (againstNamed !== null && againstNamed !== 'equal')
    return {
      cause: 'changed outside Ditto',
      because: `The log has the change ${storedVersion ?? ''}, and it has left something else than what is stored under this version.`,
    };
  if (refused !== null) return { cause: 'in the quarantine', because: `The sink has refused the row: ${refused}.` };
  if (isCovered(nextLogged, checkpoint) && copied === 'yes')
    return {
      cause: 'lost',
      because: `The log has the newer change ${nextLogged ?? ''}, and the checkpoint covers it: it was lost, or what is stored was removed or replaced by something older outside Ditto.`,
    };
  if (reread !== null) return { cause: 'being re-read', because: `Under way: ${reread}.` };
  if (copied === 'no') return { cause: 'being re-read', because: 'A copy or re-read of the table is not complete.' };
  if (checkpoint !== null && storedVersion !== null && storedVersion > checkpoint)
    return { cause: 'moving', because: 'What is stored is newer than the checkpoint.' };
  if (checkpoint !== null && nextLogged !== null && nextLogged > checkpoint)
    return { cause: 'moving', because: `The newest change ${nextLogged} is not covered by the checkpoint yet.` };
  if (copied === 'unseen') return { cause: 'unknown', because: 'DSS has not come to this table yet.' };
  if (copied === 'never')
    return { cause: 'unknown', because: 'The rows of this table that existed before are not copied.' };
  return { cause: 'unknown', because: 'Nothing that could be looked at proves a cause.' };
}

function isCovered(version: string | null, checkpoint: string | null): boolean {
  return version !== null && checkpoint !== null && version <= checkpoint;
}
