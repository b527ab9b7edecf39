import { type CopyState } from '../ports/stores.ts';

type Of<State extends CopyState['state']> = Extract<CopyState, { state: State }>;
/** A reading has begun and is not complete. */
export type Reading = Of<'copying' | 'ending'>;

/** Of a table without a key. */
export const KEYLESS_COPY = {
  state: 'unavailable',
  reason: 'the table has no primary key; its changes are published, its existing rows are not read',
} as const;

export function isReading(copy: CopyState): copy is Reading {
  return copy.state === 'copying' || copy.state === 'ending';
}

export function rowsReadOf(copy: CopyState): number {
  return 'rowsRead' in copy ? copy.rowsRead : 0;
}

/** Whether a reading is still to begin that ends rows which are gone. */
export function isAsked(copy: CopyState): boolean {
  return isReading(copy) ? copy.again : copy.state === 'pending' && copy.endsGone;
}

/** A statement: what was read counts no more. `losesRows`: rows may be gone. */
export function restart(copy: CopyState, losesRows: boolean): Of<'pending'> {
  // rows may also have gone while the table was left out
  const mayHaveLost = losesRows || copy.state === 'none';
  return { state: 'pending', endsGone: mayHaveLost || isAsked(copy) || (isReading(copy) && copy.goneBelow !== null) };
}

/** A cascade: a reading that has begun runs to its end first. */
export function askAgain(copy: CopyState): CopyState {
  return isReading(copy) ? { ...copy, again: true } : { state: 'pending', endsGone: true };
}

/** `goneBelow`: null when rows that are gone do not end, whatever was asked. */
export function begin(goneBelow: string | null): Of<'copying'> {
  return { state: 'copying', after: null, rowsRead: 0, goneBelow, again: false };
}

/** So many rows more are confirmed, up to this key; null when there were none. */
export function advance(copy: Of<'copying'>, lastKey: string | null, rows: number): Of<'copying'> {
  return { ...copy, after: lastKey ?? copy.after, rowsRead: copy.rowsRead + rows };
}

/** All rows are read and confirmed. */
export function completeRows(copy: Of<'copying'>): CopyState {
  const { rowsRead, goneBelow, again } = copy;
  return goneBelow === null ? complete(copy) : { state: 'ending', rowsRead, goneBelow, again };
}

/** The reading is complete. */
export function complete({ again, rowsRead }: Reading): CopyState {
  return again ? { state: 'pending', endsGone: true } : { state: 'done', rowsRead };
}
