import { type CanonicalValue, type TableLayout } from '#change-events';
import { serverText } from '../texts/server-text.ts';
import { quoteIdentifier } from './quoting.ts';
import { type Reading, type SelectList, selectColumn } from './select-list.ts';

/**
 * Rows of which only the key's columns hold values, by which rows are found and known; after all columns come their texts,
 * in column order, as the server renders them.
 */
export function makeTextList(layout: TableLayout, reading: Reading): SelectList {
  const { columns, key } = layout;
  const keys = key.flatMap((index) => {
    const column = columns[index];
    return column === undefined ? [] : [{ index, ...selectColumn(column, true, reading) }];
  });
  const texts = columns.map((column) => serverText(column, quoteIdentifier(column.name), reading.kind));
  const expressions = [...keys.map(({ expression }) => expression), ...texts];
  return {
    sql: expressions.map((expression, i) => `${expression} AS c${i}`).join(', '),
    convert: (rows) =>
      rows.map((selected) => {
        const row: CanonicalValue[] = columns.map(() => null);
        for (const [i, { index, convert }] of keys.entries()) {
          const value = selected[i];
          row[index] = convert === null ? (value as CanonicalValue) : convert(value);
        }
        for (const text of selected.slice(keys.length)) row.push(text as string | null);
        return row;
      }),
  };
}
