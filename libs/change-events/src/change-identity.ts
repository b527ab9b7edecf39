import { hash } from 'node:crypto';
import { type RowChange, type TableChange } from './change.ts';
import { encodeKeyValues, hasSameKey } from './key-values.ts';
import { type Row, type TableLayout } from './table-layout.ts';

/** Whether an update gives the row another key. False for every other change and for tables without a key. */
export function keyChanged(change: RowChange): boolean {
  const { before, after } = change;
  return change.op === 'update' && before !== null && after !== null && !hasSameKey(change.layout, before, after);
}

/** The delete of the old key and the create of the new one, to be delivered in this order, that a key change is. */
export function splitKeyChange(change: RowChange): readonly [RowChange, RowChange] {
  return [
    { ...change, op: 'delete', after: null, isHalfOfKeyChange: true },
    { ...change, op: 'create', before: null, isHalfOfKeyChange: true },
  ];
}

/** The id of a row that a read found, or found to be gone; of `row` only the key counts. 128 bits of its hash in base64url. */
export function readId(windowId: string, layout: TableLayout, row: Row): string {
  return `${windowId}/${hash('sha256', encodeKeyValues(layout, row), 'base64url').slice(0, 22)}`;
}

/**
 * The header `ditto.id`: the same text whenever the same change is delivered again, and no other change's.
 *
 * From the log `gtid/rowIndex`, without GTIDs `serverUuid/file/offset/rowIndex`; the halves of a key change end in
 * `/d` and `/c`. What a read found: `windowId/hash of the key`. The end of a table's rows that is not a statement
 * of the log: the id that it was given.
 */
export function changeId(change: RowChange | TableChange): string {
  const { transaction, rowIndex } = change;
  if ('windowId' in change) {
    const { windowId, layout, after, before } = change;
    const row = after ?? before;
    if (windowId !== null) return row === null ? `${windowId}/` : readId(windowId, layout, row);
  } else if (change.id !== undefined) return change.id;
  const place = transaction.gtid ?? `${transaction.serverUuid}/${transaction.file}/${transaction.offset}`;
  const isHalf = (change.op === 'delete' || change.op === 'create') && change.isHalfOfKeyChange === true;
  return isHalf ? `${place}/${rowIndex}/${change.op === 'delete' ? 'd' : 'c'}` : `${place}/${rowIndex}`;
}
