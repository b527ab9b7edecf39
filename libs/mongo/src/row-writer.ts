import { type Column, type Row, type TableLayout } from '#change-events';
import { BsonType, type BsonWriter, type ElementLabel, makeLabel } from './bson-writer.ts';

/** Writes the elements of some columns of a row. */
export type RowWriter = (writer: BsonWriter, row: Row) => void;

type WriteMethod = Exclude<keyof BsonWriter, 'at' | 'bytes' | 'begin' | 'beginIn' | 'end' | 'raw' | 'null'>;

const MAX_DECIMAL128_DIGITS = 34;

/** How the canonical values of a column are written (design: canonical values). */
function writeMethod(column: Column): readonly [method: WriteMethod, type: number] {
  switch (column.kind) {
    case 'integer':
      return column.type.startsWith('int') && column.unsigned ? ['long', BsonType.long] : ['int32', BsonType.int32];
    case 'bigint':
      return ['bigInteger', BsonType.long];
    case 'decimal':
      return column.precision <= MAX_DECIMAL128_DIGITS ? ['decimal', BsonType.decimal128] : ['string', BsonType.string];
    case 'float':
    case 'double':
      return ['double', BsonType.double];
    case 'boolean':
      return ['boolean', BsonType.boolean];
    case 'bytes':
    case 'bits':
    case 'geometry':
      return ['binary', BsonType.binary];
    case 'vector':
      return ['vector', BsonType.array];
    case 'json':
      return ['json', BsonType.document];
    default:
      return ['string', BsonType.string];
  }
}

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
    const [method, type] = writeMethod(column);
    labels.push(makeLabel(type, nameOf(column)));
    return `if ((v = row[${index}]) === null) w.null(l${i}); else w.${method}(l${i}, v);`;
  });
  const names = labels.map((_, i) => `l${i}`);
  const source = `"use strict"; return function writeRow(w, row) { let v; ${lines.join('\n')} };`;
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- compiled once per layout; see above
  const make = new Function(...names, source) as (...labels: ElementLabel[]) => RowWriter;
  return make(...labels);
}
