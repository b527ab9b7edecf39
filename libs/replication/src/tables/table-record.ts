import { type TableName } from '#change-events';
import { type AdoptedLayout, type CopyState, type TableRecord } from '../ports/stores.ts';
import { askAgain, KEYLESS_COPY, restart } from './copy-state.ts';

/** A table that nobody asked for, and that no row was given of. */
export function newRecord({ database, table }: TableName): TableRecord {
  return { database, table, estimatedRows: 0, copy: { state: 'none' }, generation: 0, adopted: null };
}

/**
 * Whether the sinks have all rows of the table, but for what is on its way. `no`: not yet, or not for now. `never`: not
 * before something else changes: it has no key or is not there, snapshots are off, it is not included.
 */
export function isCopied({ copy: { state } }: TableRecord): 'yes' | 'no' | 'never' {
  if (state === 'done') return 'yes';
  return state === 'none' || state === 'unavailable' ? 'never' : 'no';
}

/** A copy without a reason of its own; `copy` may also say why there is none. */
export function planCopy(record: TableRecord, estimatedRows: number, copy: CopyState): TableRecord {
  return raised({ ...record, estimatedRows, copy });
}

/** The table is to be read from its first row. `losesRows`: rows may be gone. */
export function restartCopy(record: TableRecord, losesRows = false): TableRecord {
  return raised({ ...record, copy: restart(record.copy, losesRows) });
}

/** Rows changed or went that the log does not show: the table is read again. */
export function repeatCopy(record: TableRecord): TableRecord {
  return raised({ ...record, copy: askAgain(record.copy) });
}

/**
 * The table was made, and the log has every row of it: the sinks have all rows from the start. Not where the sinks have rows
 * under its name, or a reading was asked for.
 */
export function beginEmpty(record: TableRecord): TableRecord {
  if (record.adopted !== null || isCopied(record) !== 'never') return record;
  return planCopy(record, 0, { state: 'done', rowsRead: 0 });
}

/** Its changes do not reach the sinks any more. */
export function leaveOut(record: TableRecord): TableRecord {
  return raised({ ...record, copy: { state: 'none' } });
}

/**
 * Rows are made by this from here on; null: all rows have ended with the table. That a table which was made just now has no
 * key shows only here.
 */
export function adopt(record: TableRecord, adopted: AdoptedLayout | null): TableRecord {
  const isKeyless = adopted?.layout?.key.length === 0;
  return raised({ ...record, adopted, copy: isKeyless && record.copy.state === 'done' ? KEYLESS_COPY : record.copy });
}

function raised(record: TableRecord): TableRecord {
  return { ...record, generation: record.generation + 1 };
}
