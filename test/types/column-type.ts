import { type Random } from './random.ts';

/** Values of a column as SQL expressions. */
export interface ValueSource {
  /** Bounds and oddities. */
  readonly bounds: readonly string[];
  readonly random: (random: Random) => string;
}

export interface ColumnType extends ValueSource {
  /** As in CREATE TABLE, without NULL and DEFAULT. */
  readonly declaration: string;
}

/** Types with one canonical form: a row of the table in docs/types.md. */
export interface TypeFamily {
  /** Markdown, as are the next three. */
  readonly mysql: string;
  readonly json: string;
  readonly bson: string;
  /** What Debezium's MySQL connector writes with its default settings. */
  readonly debezium: string;
  readonly columns: readonly ColumnType[];
}

export function hexLiteral(bytes: Buffer): string {
  return `X'${bytes.toString('hex')}'`;
}

/** Text whatever the connection's character set is. */
export function textLiteral(text: string): string {
  return text === '' ? "''" : `_utf8mb4 ${hexLiteral(Buffer.from(text))}`;
}

export function quoted(texts: readonly string[]): string[] {
  return texts.map((text) => `'${text}'`);
}
