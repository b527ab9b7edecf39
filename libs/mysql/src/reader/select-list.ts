import { shortestFloat, type CanonicalValue, type Column, type Row, type TableLayout } from '#change-events';
import { DittoError } from '#kernel';
import { type ServerKind } from '../server-kind.ts';
import { quoteIdentifier } from './quoting.ts';
import { textDecoder, type CharacterSetFacts, type TextDecode } from '../values/charset.ts';
import { canonicalJsonText } from '../values/json-text.ts';
import { integerFromText } from '../values/numbers.ts';

/** What to select for a column, and how to read what comes. */
export interface SelectedColumn {
  readonly expression: string;
  /** Null when the driver's value is the canonical one. */
  readonly convert: ((value: unknown) => CanonicalValue) | null;
}

const COPIED_BELOW_BYTES = 4096;

function ownBytes(value: unknown): Buffer {
  const bytes = value as Buffer;
  return bytes.length < COPIED_BELOW_BYTES ? Buffer.from(bytes) : bytes;
}

function datetimeFromText(value: unknown): string {
  const text = value as string;
  return `${text.slice(0, 10)}T${text.slice(11)}`;
}

/** ZEROFILL prints zeros that are no part of the value. */
function decimalFromText(value: unknown): string {
  const text = value as string;
  return text.startsWith('0') ? text.replace(/^0+(?=\d)/, '') : text;
}

function checkedText(value: unknown): string {
  const text = value as string;
  if (text.includes('\ufffd')) throw new ReplacementCharacterFound();
  return text;
}

/**
 * U+FFFD may be the stored character or the driver's replacement for bytes that are not UTF-8; only the bytes show
 * which.
 */
export class ReplacementCharacterFound extends Error {}

function decodeWith(decode: TextDecode): (value: unknown) => string {
  return (value) => {
    const bytes = value as Buffer;
    return decode(bytes, 0, bytes.length);
  };
}

/** How the values of one reading are wanted. */
export interface Reading {
  readonly kind: ServerKind;
  readonly facts: CharacterSetFacts;
  /** UTF-8 columns too come as bytes and are decoded here, which separates a stored U+FFFD from a broken text. */
  readonly asBytes: boolean;
}

function textColumn(name: string, column: Column, isKey: boolean, { facts, asBytes }: Reading): SelectedColumn {
  const { charset } = column;
  const isUtf8Column = charset === 'utf8mb4' || charset === 'utf8mb3' || charset === 'utf8';
  if (isUtf8Column && !asBytes) return { expression: name, convert: checkedText };
  const decode = charset === null ? null : textDecoder(charset, facts, isKey);
  if (decode === null) {
    throw new DittoError(
      'DITTO_SOURCE_COLUMN_UNSUPPORTED',
      `${column.name}: character set ${charset ?? '?'} can't be decoded exactly`,
      {
        remedy: 'Exclude the column or the table, or change the column to CHARACTER SET utf8mb4.',
        context: { column: column.name },
      },
    );
  }
  // the bytes as stored: the server would turn a byte that means nothing into '?'
  return { expression: `CAST(${name} AS BINARY)`, convert: decodeWith(decode) };
}

/**
 * A text with all digits of the value, since the driver's own parser of doubles is not exact. MySQL's AS CHAR cuts some
 * off, its JSON does not; MariaDB has no type JSON to cast to, and its texts have them all.
 */
function doubleText(name: string, kind: ServerKind): string {
  const value = `CAST(${name} AS DOUBLE)`;
  return kind === 'mariadb' ? `CONCAT(${value})` : `CAST(${value} AS JSON)`;
}

export function selectColumn(column: Column, isKey: boolean, reading: Reading): SelectedColumn {
  const name = quoteIdentifier(column.name);
  switch (column.kind) {
    case 'integer':
    case 'date':
    case 'time':
    case 'enum':
    case 'set':
      return { expression: name, convert: null };
    case 'bigint':
      return {
        expression: name,
        convert: (value) => (typeof value === 'string' ? integerFromText(value) : (value as number)),
      };
    case 'decimal':
      return { expression: name, convert: decimalFromText };
    case 'float':
      return { expression: doubleText(name, reading.kind), convert: (value) => shortestFloat(Number(value)) };
    case 'double':
      return { expression: doubleText(name, reading.kind), convert: Number };
    case 'text':
      return textColumn(name, column, isKey, reading);
    case 'bytes':
    case 'bits':
      return { expression: name, convert: ownBytes };
    case 'geometry':
    case 'vector':
      return { expression: `CAST(${name} AS BINARY)`, convert: ownBytes };
    case 'boolean':
      return { expression: name, convert: (value) => (value as Buffer)[0] !== 0 };
    case 'datetime':
      return { expression: name, convert: datetimeFromText };
    case 'timestamp':
      return { expression: name, convert: (value) => `${datetimeFromText(value)}Z` };
    case 'json':
      return { expression: name, convert: (value) => canonicalJsonText(value as string) };
  }
}

/** The select list of a layout and the conversion of the driver's rows into canonical ones. */
export interface SelectList {
  readonly sql: string;
  readonly convert: (rows: unknown[][]) => Row[];
}

export function makeSelectList(layout: TableLayout, reading: Reading): SelectList {
  const selected = layout.columns.map((column, index) => selectColumn(column, layout.key.includes(index), reading));
  const conversions = selected.flatMap(({ convert }, index) => (convert === null ? [] : [{ index, convert }]));
  return {
    // the driver takes results apart by their columns' names, and refuses some (`__proto__`); none of the table's reaches it
    sql: selected.map(({ expression }, index) => `${expression} AS c${index}`).join(', '),
    convert: (rows) => {
      for (const row of rows) {
        for (const { index, convert } of conversions) {
          const value = row[index];
          if (value !== null) row[index] = convert(value);
        }
      }
      return rows as CanonicalValue[][];
    },
  };
}
