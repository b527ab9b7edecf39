import { type Row, type TableLayout, type TextColumn, type TextRows } from '#change-events';
import { serverText } from '../texts/server-text.ts';
import { quoteIdentifier } from './quoting.ts';
import { type Reading, type SelectList, selectColumn } from './select-list.ts';

const TEXT: TextColumn = { decode: (bytes, start, end) => bytes.toString('utf8', start, end), isPlain: false };

/** The key's columns, by which rows are found and known, then the texts of all columns as the server renders them. */
export function makeTextList(layout: TableLayout, reading: Reading): SelectList {
  const { columns, key } = layout;
  const keys = key.flatMap((index) => {
    const column = columns[index];
    return column === undefined ? [] : [selectColumn(column, true, reading)];
  });
  const texts = columns.map((column) => serverText(column, quoteIdentifier(column.name), reading.kind));
  const expressions = [...keys.map(({ expression }) => expression), ...texts];
  return {
    sql: expressions.map((expression, i) => `${expression} AS c${i}`).join(', '),
    columns: [...keys, ...texts.map(() => TEXT)],
  };
}

/** Rows of which only the key's columns hold values; after all columns come their texts, in column order. */
export function rowsWithTexts({ columns, key }: TableLayout, selected: TextRows): Row[] {
  return Array.from({ length: selected.count }, (_, i) => {
    const values = selected.row(i);
    const row: Row[number][] = columns.map(() => null);
    for (const [part, index] of key.entries()) row[index] = values[part] ?? null;
    return [...row, ...values.slice(key.length)];
  });
}
