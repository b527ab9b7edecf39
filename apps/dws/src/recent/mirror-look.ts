import { type Row, type TableLayout } from '#change-events';

export interface MirrorLookOptions {
  readonly layouts: readonly TableLayout[];
  /** The keys of the rows of one table that have changed, in pages. */
  readonly list: (layout: TableLayout) => AsyncIterable<readonly Row[]>;
  readonly note: (layout: TableLayout, keys: readonly Row[]) => void;
  /** The look ends after about so many keys, and after about so long. */
  readonly mostKeys: number;
  readonly mostMs: number;
  readonly signal: AbortSignal;
  /** Milliseconds, of a clock that is never set. */
  readonly nowMs?: () => number;
  /** From 0 to below 1. */
  readonly random?: () => number;
}

export interface MirrorLook {
  readonly keys: number;
  /** False when a bound was reached before all tables were looked through. */
  readonly isWhole: boolean;
}

/** Tables that are looked at side by side: the connections to MongoDB are shared with all else. */
const TABLES_AT_ONCE = 2;

/**
 * Looks once through the tables of a source for rows that have changed. It begins with any of the tables, so that the same
 * ones are not left out by each look that is not whole.
 */
export async function lookThrough(options: MirrorLookOptions): Promise<MirrorLook> {
  const {
    layouts,
    list,
    note,
    mostKeys,
    mostMs,
    signal,
    nowMs = () => performance.now(),
    random = Math.random,
  } = options;
  const untilMs = nowMs() + mostMs;
  const first = Math.floor(random() * layouts.length);
  const order = [...layouts.slice(first), ...layouts.slice(0, first)].values();
  let keys = 0;
  let isWhole = true;
  const isOver = (): boolean => {
    signal.throwIfAborted();
    const over = keys >= mostKeys || nowMs() >= untilMs;
    if (over) isWhole = false;
    return over;
  };
  const look = async (): Promise<void> => {
    for (const layout of order) {
      if (isOver()) return;
      for await (const rows of list(layout)) {
        if (isOver()) return;
        note(layout, rows);
        keys += rows.length;
      }
    }
  };
  await Promise.all(Array.from({ length: TABLES_AT_ONCE }, look));
  return { keys, isWhole };
}
