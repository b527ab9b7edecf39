import { DittoError } from '#kernel';
import { type BigintMode, encoderFunctions, valueExpression } from './json-values.ts';
import { type CanonicalValue, type ColumnKind, type Row, type TableLayout } from './table-layout.ts';

export interface RowEncoderOptions {
  /** Default 'number'. */
  readonly bigint?: BigintMode;
}

export type RowEncoder = (row: Row) => string;

/**
 * Makes the encoder of an object with the given columns. It is generated as source text: a loop over closures takes
 * half as long again for ten columns. Column names reach the source only as JSON string literals.
 */
function compileObjectEncoder(layout: TableLayout, bigint: BigintMode, isKey: boolean): RowEncoder {
  const columns = isKey ? layout.key : [...layout.columns.keys()];
  const names = Object.keys(encoderFunctions);
  const members = columns.map((index, i) => {
    const column = layout.columns[index];
    if (column === undefined) throw new RangeError(`No column ${index} in ${layout.database}.${layout.table}.`);
    const label = JSON.stringify(`${i === 0 ? '{' : ','}${JSON.stringify(column.name)}:`);
    return `${label} + ((v = row[${index}]) === null ? 'null' : ${valueExpression(column.kind, bigint, isKey)})`;
  });
  const body = members.length === 0 ? "'{}'" : `${members.join(' + ')} + '}'`;
  const source = `"use strict"; return function encode(row) { let v; return ${body}; };`;
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- compiled once per layout; see above
  const make = new Function(...names, source) as (...functions: unknown[]) => RowEncoder;
  return make(...Object.values(encoderFunctions));
}

/** Compiles the JSON object text of a row of this layout, columns in order. Call once per layout and keep the result. */
export function compileJsonRowEncoder(layout: TableLayout, options: RowEncoderOptions = {}): RowEncoder {
  return compileObjectEncoder(layout, options.bigint ?? 'number', false);
}

/**
 * Compiles the text of a row's message key: a JSON object of the key columns in key order, `{"id":1}`. Two images of
 * one row give the same text. Throws `DITTO_TABLE_NO_KEY` for a table without a key.
 */
export function compileKeyEncoder(layout: TableLayout, options: RowEncoderOptions = {}): RowEncoder {
  if (layout.key.length === 0) {
    throw new DittoError('DITTO_TABLE_NO_KEY', `${layout.database}.${layout.table} has no key.`, {
      remedy: 'Give the table a primary key, or name its unique not-null columns in the configuration.',
      context: { database: layout.database, table: layout.table },
    });
  }
  return compileObjectEncoder(layout, options.bigint ?? 'number', true);
}

type ValueEncoder = (value: CanonicalValue) => string;

const valueEncoders: Readonly<Record<BigintMode, Map<ColumnKind, ValueEncoder>>> = {
  number: new Map(),
  string: new Map(),
};

/** Compiles the JSON text of a value that is not null, once for each kind. */
export function compileValueEncoder(kind: ColumnKind, bigint: BigintMode): ValueEncoder {
  const known = valueEncoders[bigint].get(kind);
  if (known !== undefined) return known;
  const source = `"use strict"; return function encode(v) { return String(${valueExpression(kind, bigint, false)}); };`;
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- the same expressions as in a row's encoder
  const make = new Function(...Object.keys(encoderFunctions), source) as (...functions: unknown[]) => ValueEncoder;
  const encode = make(...Object.values(encoderFunctions));
  valueEncoders[bigint].set(kind, encode);
  return encode;
}

const keyEncoders = new WeakMap<TableLayout, RowEncoder>();

/** `compileKeyEncoder` with its default options, compiled at the first call for a layout. */
export function encodeKey(layout: TableLayout, row: Row): string {
  let encode = keyEncoders.get(layout);
  if (encode === undefined) {
    encode = compileKeyEncoder(layout);
    keyEncoders.set(layout, encode);
  }
  return encode(row);
}
