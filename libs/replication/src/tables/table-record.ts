import { type TableName } from '#change-events';
import { type TableRecord } from '../ports/stores.ts';
import { restart } from './copy-state.ts';

/** A table that nothing was read of. */
export function newRecord({ database, table }: TableName, estimatedRows = 0): TableRecord {
  return { database, table, estimatedRows, copy: { state: 'pending', endsGone: false } };
}

/** The table is to be read from its first row. `losesRows`: rows may be gone. */
export function restartCopy(record: TableRecord, losesRows = false): TableRecord {
  return { ...record, copy: restart(record.copy, losesRows) };
}
