import { type TableLayout } from './table-layout.ts';

/** What `describeKey` says of a table without a key. */
export const KEYLESS = '[]';

/**
 * Text that is equal exactly when the rows of two layouts have their keys by the same columns, in the same order and with
 * values of the same form: JSON of name, kind and digits of each column.
 */
export function describeKey({ columns, key }: TableLayout): string {
  return JSON.stringify(
    key.map((index) => {
      const column = columns[index];
      return [column?.name, column?.kind, column?.scale];
    }),
  );
}
