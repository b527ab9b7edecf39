import { type Column, type Row, type TableLayout } from '#change-events';
import { BSON_ENCODING } from './bson-values.ts';
import { type BsonWriter, type ElementLabel, makeLabel } from './bson-writer.ts';

/** Writes the elements of some columns of a row. */
export type RowWriter = (writer: BsonWriter, row: Row) => void;

/**
 * Compiles the writer of the columns at `indexes`, one call for each of them in generated source. Names are in the
 * labels, never in the source.
 */
export function compileRowWriter(
  layout: TableLayout,
  indexes: readonly number[],
  nameOf: (column: Column) => string,
): RowWriter {
  const labels: ElementLabel[] = [];
  const lines = indexes.map((index, i) => {
    const column = layout.columns[index];
    if (column === undefined) throw new RangeError(`no column ${index} in ${layout.database}.${layout.table}`);
    const [method, type] = BSON_ENCODING[column.kind].writing(column);
    labels.push(makeLabel(type, nameOf(column)));
    return `if ((v = row[${index}]) === null) w.null(l${i}); else w.${method}(l${i}, v);`;
  });
  const names = labels.map((_, i) => `l${i}`);
  const source = `"use strict"; return function writeRow(w, row) { let v; ${lines.join('\n')} };`;
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- compiled once per layout; see above
  const make = new Function(...names, source) as (...labels: ElementLabel[]) => RowWriter;
  return make(...labels);
}
