/**
 * What the log says a table looked like when a row was written: names, types and key, in column order.
 * Made by an adapter from the log's own metadata or from the catalogue; two layouts with the same `fingerprint`
 * decode and encode alike, and one object serves all rows of a run, so caches may depend on its identity.
 */
export interface TableLayout {
  readonly database: string;
  readonly table: string;
  readonly columns: readonly Column[];
  /** Column indexes of the primary key in key order (or of the configured unique key); empty: no key. */
  readonly key: readonly number[];
  /** Text that is equal exactly when names, types, order and key are equal. */
  readonly fingerprint: string;
}

/**
 * The kinds of columns, each with the type of its values in a `Row`. All else that depends on the kind is in records
 * and switches that must name every kind: CONTRIBUTING.md, "A column type".
 */
export const VALUE_TYPE = {
  integer: 'number', // TINYINT…INT, YEAR
  bigint: 'integer', // BIGINT
  decimal: 'string', // exact text with the column's scale, as MySQL prints it
  float: 'number', // the double whose shortest text is the shortest text of the 32-bit value
  double: 'number',
  text: 'string',
  bytes: 'bytes',
  boolean: 'boolean', // BIT(1)
  bits: 'bytes', // BIT(n>1): big-endian, ceil(n/8) bytes
  date: 'string', // 'YYYY-MM-DD', zero dates as they are
  time: 'string', // '[-]HH:MM:SS[.f…]', hours of two or three digits
  datetime: 'string', // 'YYYY-MM-DDTHH:MM:SS[.f…]', zero dates as they are
  timestamp: 'string', // 'YYYY-MM-DDTHH:MM:SS[.f…]Z', in UTC; the zero timestamp is '0000-00-00T00:00:00[.0…]Z'
  enum: 'string', // label; '' for the error value
  set: 'string', // labels joined by commas
  json: 'string', // JSON text
  geometry: 'bytes', // SRID (4 bytes, little-endian) + WKB, MySQL's own storage
  vector: 'bytes', // little-endian 32-bit floats
} as const satisfies Readonly<Record<string, ValueType>>;

/** How a column's values are held in a `Row`, and so which encoders serve it. */
export type ColumnKind = keyof typeof VALUE_TYPE;

/** Types of canonical values that are not NULL. `integer`: number within ±2^53, else bigint. `bytes`: Buffer. */
export type ValueType = 'number' | 'integer' | 'string' | 'boolean' | 'bytes';

export interface Column {
  readonly name: string;
  readonly kind: ColumnKind;
  /** The type in MySQL's words without attributes, lower case: `bigint`, `varchar`, `decimal`, `datetime`, `year`… */
  readonly type: string;
  readonly unsigned: boolean;
  /** decimal: digits in all; else 0. */
  readonly precision: number;
  /** decimal: digits after the point; temporal kinds: fraction digits 0–6; else 0. */
  readonly scale: number;
  /** bits: width in bits; text and bytes: declared length in characters or bytes where known; else 0. */
  readonly length: number;
  /** MySQL's character set name for text, enum and set; else null. */
  readonly charset: string | null;
  /** enum and set: the labels in order; else empty. */
  readonly labels: readonly string[];
}

/** One canonical value: `VALUE_TYPE` has the form of each kind. */
export type CanonicalValue = null | number | bigint | string | boolean | Buffer;

/** One row image: canonical values in column order. Never changed after it was made. */
export type Row = readonly CanonicalValue[];
