import { shortestFloat, type Column, type TableLayout, type TextColumn } from '#change-events';
import { DittoError } from '#kernel';
import { type ServerKind } from '../server-kind.ts';
import { quoteIdentifier } from './quoting.ts';
import { textDecoder, type CharacterSetFacts } from '../values/charset.ts';
import { canonicalJsonText } from '../values/json-text.ts';
import { integerFromText } from '../values/numbers.ts';

/** What to select for a column, and how to read what comes. */
export interface SelectedColumn extends TextColumn {
  readonly expression: string;
}

type Decode = TextColumn['decode'];

const COPIED_BELOW_BYTES = 4096;

const ascii = (bytes: Buffer, start: number, end: number): string => bytes.toString('latin1', start, end);
const utf8 = (bytes: Buffer, start: number, end: number): string => bytes.toString('utf8', start, end);

/** A short value does not hold what else came with it. */
const ownBytes: Decode = (bytes, start, end) => {
  const value = bytes.subarray(start, end);
  return value.length < COPIED_BELOW_BYTES ? Buffer.from(value) : value;
};

function datetimeText(bytes: Buffer, start: number, end: number): string {
  return `${bytes.toString('latin1', start, start + 10)}T${bytes.toString('latin1', start + 11, end)}`;
}

/** ZEROFILL prints zeros that are no part of the value. */
const decimal: Decode = (bytes, start, end) => {
  const text = ascii(bytes, start, end);
  return text.startsWith('0') ? text.replace(/^0+(?=\d)/, '') : text;
};

/** How the values of one reading are wanted. */
export interface Reading {
  readonly kind: ServerKind;
  readonly facts: CharacterSetFacts;
}

function textColumn(name: string, column: Column, isKey: boolean, { facts }: Reading): SelectedColumn {
  const { charset } = column;
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
  // the session has this character set
  if (charset === 'utf8mb4') return { expression: name, decode, isPlain: true };
  // the bytes as stored: the server would turn a byte that means nothing into '?'
  return { expression: `CAST(${name} AS BINARY)`, decode, isPlain: charset === 'utf8mb3' || charset === 'utf8' };
}

/**
 * A text with all digits of the value. MySQL's AS CHAR cuts some off, its JSON does not; MariaDB has no type JSON to cast
 * to, and its texts have them all.
 */
function doubleText(name: string, kind: ServerKind): string {
  const value = `CAST(${name} AS DOUBLE)`;
  return kind === 'mariadb' ? `CONCAT(${value})` : `CAST(${value} AS JSON)`;
}

export function selectColumn(column: Column, isKey: boolean, reading: Reading): SelectedColumn {
  const name = quoteIdentifier(column.name);
  const plain = (decode: Decode): SelectedColumn => ({ expression: name, decode, isPlain: true });
  switch (column.kind) {
    case 'integer':
      return plain((...text) => Number(ascii(...text)));
    case 'date':
    case 'time':
      return plain(ascii);
    case 'enum':
    case 'set':
      return plain(utf8);
    case 'bigint':
      return plain((...text) => integerFromText(ascii(...text)));
    case 'decimal':
      return plain(decimal);
    case 'float':
      return {
        ...plain((...text) => shortestFloat(Number(ascii(...text)))),
        expression: doubleText(name, reading.kind),
      };
    case 'double':
      return { ...plain((...text) => Number(ascii(...text))), expression: doubleText(name, reading.kind) };
    case 'text':
      return textColumn(name, column, isKey, reading);
    case 'bytes':
    case 'bits':
      return plain(ownBytes);
    case 'geometry':
    case 'vector':
      return { ...plain(ownBytes), expression: `CAST(${name} AS BINARY)` };
    case 'boolean':
      return plain((bytes, start) => bytes[start] !== 0);
    case 'datetime':
      return plain(datetimeText);
    case 'timestamp':
      return plain((bytes, start, end) => `${datetimeText(bytes, start, end)}Z`);
    case 'json':
      return plain((...text) => canonicalJsonText(utf8(...text)));
  }
}

/** The select list of a layout. */
export interface SelectList {
  readonly sql: string;
  /** Of each expression. */
  readonly columns: readonly TextColumn[];
}

export function makeSelectList(layout: TableLayout, reading: Reading): SelectList {
  const selected = layout.columns.map((column, index) => selectColumn(column, layout.key.includes(index), reading));
  return {
    // the driver takes results apart by their columns' names, and refuses some (`__proto__`); none of the table's reaches it
    sql: selected.map(({ expression }, index) => `${expression} AS c${index}`).join(', '),
    columns: selected,
  };
}
