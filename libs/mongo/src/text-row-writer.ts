import { type Column, type TableLayout, type TextRows } from '#change-events';
import { BSON_ENCODING } from './bson-values.ts';
import { BsonType, type BsonWriter, type ElementLabel, makeLabel } from './bson-writer.ts';

/** Writes the elements of some columns of one row. */
export type TextRowWriter = (writer: BsonWriter, rows: TextRows, index: number) => void;

/**
 * As `compileRowWriter`, of rows as texts: the same bytes without the values between, except where only the value says
 * how it is written. `columns`: those of the rows.
 */
export function compileTextRowWriter(
  layout: TableLayout,
  columns: TextRows['columns'],
  indexes: readonly number[],
  nameOf: (column: Column) => string,
): TextRowWriter {
  const labels: ElementLabel[] = [];
  const lines = indexes.map((index, i) => {
    const column = layout.columns[index];
    if (column === undefined) throw new RangeError(`no column ${index} in ${layout.database}.${layout.table}`);
    const [method, type] = BSON_ENCODING[column.kind].writing(column);
    labels.push(makeLabel(type, nameOf(column)));
    const text = columns[index]?.isPlain === true ? textMethod(column, type) : null;
    const write =
      text === null
        ? `w.${method}(l${i}, rows.value(index, ${index}))`
        : `w.${text}(l${i}, b, s, p[at + ${2 * index + 1}])`;
    return `if ((s = p[at + ${2 * index}]) === -1) w.null(l${i}); else ${write};`;
  });
  const names = labels.map((_, i) => `l${i}`);
  const source = `"use strict"; return function writeTextRow(w, rows, index) {
    let s; const p = rows.places, b = rows.buffers[index], at = index * ${2 * columns.length}; ${lines.join('\n')} };`;
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- compiled once per layout; names are in the labels
  const make = new Function(...names, source) as (...labels: ElementLabel[]) => TextRowWriter;
  return make(...labels);
}

type TextMethod =
  'int32Text' | 'longText' | 'decimalText' | 'utf8Text' | 'datetimeText' | 'timestampText' | 'binaryText';

/** Null where the value is made first. */
function textMethod({ kind }: Column, type: number): TextMethod | null {
  switch (kind) {
    case 'integer':
      return type === BsonType.int32 ? 'int32Text' : 'longText';
    case 'bigint':
      return 'longText';
    case 'decimal':
      return type === BsonType.decimal128 ? 'decimalText' : null;
    case 'text':
    case 'enum':
    case 'set':
    case 'date':
    case 'time':
      return 'utf8Text';
    case 'datetime':
      return 'datetimeText';
    case 'timestamp':
      return 'timestampText';
    case 'bytes':
    case 'bits':
    case 'geometry':
      return 'binaryText';
    case 'float':
    case 'double':
    case 'boolean':
    case 'json':
    case 'vector':
      return null;
  }
}
