import { type BigintMode, JSON_ENCODING, quoteJson } from './json-values.ts';
import { compileValueEncoder } from './row-encoder.ts';
import { type CanonicalValue, type Row, type TableLayout } from './table-layout.ts';

/** Longer values are written piece by piece: their JSON as one text is memory that others lack (I9). */
const WIDE_LENGTH = 64 * 1024;
/** A multiple of three: base64 of the pieces is base64 of the whole. */
const PIECE_LENGTH = 48 * 1024;

function isWide(value: CanonicalValue | undefined): value is string | Buffer {
  return (typeof value === 'string' || Buffer.isBuffer(value)) && value.length > WIDE_LENGTH;
}

/** Indexes of the columns that may be wide. */
export function findWideColumns({ columns }: TableLayout): readonly number[] {
  return columns.flatMap(({ kind }, index) => (JSON_ENCODING[kind].isWide ? [index] : []));
}

export function isWideRow(row: Row, wideColumns: readonly number[]): boolean {
  return wideColumns.some((index) => isWide(row[index]));
}

/** The JSON object of a row, columns in order, as one text after the other. */
export function* rowPieces({ columns }: TableLayout, row: Row, bigint: BigintMode): Generator<string> {
  for (const [index, { name, kind }] of columns.entries()) {
    yield `${index === 0 ? '{' : ','}${JSON.stringify(name)}:`;
    const value = row[index] ?? null;
    if (value === null) yield 'null';
    else if (JSON_ENCODING[kind].isWide && isWide(value)) yield* wideValuePieces(value);
    else yield compileValueEncoder(kind, bigint)(value);
  }
  yield '}';
}

function* wideValuePieces(value: string | Buffer): Generator<string> {
  yield '"';
  if (typeof value === 'string') yield* textPieces(value);
  else
    for (let from = 0; from < value.length; from += PIECE_LENGTH)
      yield value.toString('base64', from, Math.min(from + PIECE_LENGTH, value.length));
  yield '"';
}

/** Two surrogates that belong together are not parted: a first one begins the next piece. */
function* textPieces(text: string): Generator<string> {
  for (let from = 0; from < text.length;) {
    const full = from + PIECE_LENGTH;
    const last = full < text.length ? text.charCodeAt(full - 1) : 0;
    const end = last >= 0xd800 && last <= 0xdbff ? full - 1 : full;
    yield quoteJson(text.slice(from, end)).slice(1, -1);
    from = end;
  }
}
