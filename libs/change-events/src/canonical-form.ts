import { type CanonicalValue, type Column, type ColumnKind } from './table-layout.ts';

/** Whether a value that is not null has the one form that a value of the column has. */
type FormCheck = (value: NonNullable<CanonicalValue>, column: Column) => boolean;

export const DATE = /^\d{4}-(?:0\d|1[0-2])-(?:[0-2]\d|3[01])$/;
export const TIME = /^-?(?:\d\d|[1-7]\d\d|8[0-2]\d|83[0-8]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?$/;
export const DATETIME = /^\d{4}-(?:0\d|1[0-2])-(?:[0-2]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?$/;
const DECIMAL = /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/;
const MINUS_ZERO = /^-[0.]+$/;

/** Bits of the integer types; the others (YEAR) take no more. */
const INTEGER_BITS: Readonly<Record<string, number>> = { tinyint: 8, smallint: 16, mediumint: 24 };
const MOST_INTEGER_BITS = 32;

const isString: FormCheck = (value) => typeof value === 'string';
const isBytes: FormCheck = (value) => Buffer.isBuffer(value);
const isDouble: FormCheck = (value) => typeof value === 'number' && Number.isFinite(value);

const FORMS: Readonly<Record<ColumnKind, FormCheck>> = {
  integer: (value, { type, unsigned }) =>
    typeof value === 'number' &&
    Number.isInteger(value) &&
    isInRange(BigInt(value), INTEGER_BITS[type] ?? MOST_INTEGER_BITS, unsigned),
  bigint: (value, { unsigned }) =>
    (typeof value === 'bigint' || (typeof value === 'number' && Number.isSafeInteger(value))) &&
    isInRange(BigInt(value), 64, unsigned),
  decimal: (value, column) => typeof value === 'string' && isDecimal(value, column),
  float: isDouble,
  double: isDouble,
  text: isString,
  bytes: isBytes,
  boolean: (value) => typeof value === 'boolean',
  bits: (value, { length }) => Buffer.isBuffer(value) && value.length === Math.ceil(length / 8),
  date: (value) => typeof value === 'string' && DATE.test(value),
  time: (value, { scale }) => typeof value === 'string' && TIME.test(value) && fractionDigits(value) === scale,
  datetime: (value, { scale }) => typeof value === 'string' && DATETIME.test(value) && fractionDigits(value) === scale,
  timestamp: (value, { scale }) =>
    typeof value === 'string' &&
    value.endsWith('Z') &&
    DATETIME.test(value.slice(0, -1)) &&
    fractionDigits(value.slice(0, -1)) === scale,
  enum: (value, { labels }) => value === '' || labels.includes(String(value)),
  set: (value, { labels }) => typeof value === 'string' && isSetOf(value, labels),
  json: isString,
  geometry: isBytes,
  vector: isBytes,
};

/**
 * Whether this is a value as `Row` has them, and not only something of its type: a key that is stored in another form is
 * no row's.
 */
export function isCanonical(column: Column, value: CanonicalValue): boolean {
  return value === null || FORMS[column.kind](value, column);
}

/** Whether a row can have this in its key. */
export function isCanonicalKey(column: Column | undefined, value: CanonicalValue): boolean {
  return column !== undefined && value !== null && isCanonical(column, value);
}

function isInRange(value: bigint, bits: number, unsigned: boolean): boolean {
  return value === (unsigned ? BigInt.asUintN(bits, value) : BigInt.asIntN(bits, value));
}

function isDecimal(text: string, { precision, scale }: Column): boolean {
  if (!DECIMAL.test(text) || MINUS_ZERO.test(text) || fractionDigits(text) !== scale) return false;
  const [, whole = ''] = /^-?0*(\d*)/.exec(text) ?? [];
  // a column without a precision is made by hand, in tests
  return precision === 0 || whole.length <= precision - scale;
}

function fractionDigits(text: string): number {
  const point = text.indexOf('.');
  return point === -1 ? 0 : text.length - point - 1;
}

/** Labels in the order of the column, each once. */
function isSetOf(value: string, labels: readonly string[]): boolean {
  if (value === '') return true;
  const indexes = value.split(',').map((label) => labels.indexOf(label));
  return indexes.every((index, i) => index > (indexes[i - 1] ?? -1));
}
