import { type TableLayout } from '#change-events';
import { DittoError } from '#kernel';
import { type UndecodableTextError } from '../values/charset.ts';

export function textInvalid({ database, table }: TableLayout, error: UndecodableTextError): DittoError {
  return new DittoError('DITTO_SOURCE_TEXT_INVALID', `${database}.${table} holds ${error.message}`, {
    remedy: 'Correct the value on the source, or exclude the column or the table.',
    context: { database, table },
    cause: error,
  });
}

export function rowTooLarge({ database, table }: TableLayout, mostBytes: number): DittoError {
  return new DittoError(
    'DITTO_SOURCE_ROW_TOO_LARGE',
    `a row of ${database}.${table} takes more than ${mostBytes} bytes; it was not read`,
    {
      remedy: 'Exclude its large column (excludeColumns) or the table and restart DSS; or make the row smaller.',
      context: { database, table, mostBytes },
    },
  );
}

export function layoutChanged(layout: TableLayout, cause?: unknown): DittoError {
  return new DittoError(
    'DITTO_SOURCE_LAYOUT_CHANGED',
    `${layout.database}.${layout.table} no longer has the layout asked for`,
    {
      retriable: true,
      context: { database: layout.database, table: layout.table },
      cause,
    },
  );
}
