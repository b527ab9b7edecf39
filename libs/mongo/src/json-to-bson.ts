import { mongo } from 'mongoose';
import { trimEndOf } from '#kernel';
import { decimal128FromText } from './decimal128.ts';

/** The driver gives its classes by getters: looked up once, not for each value. */
const { Double, Long } = mongo;

/** MongoDB's documented limit is 100 levels; the document and its `row` take two. */
const MAX_DEPTH = 98;
/** Arrays of short elements grow about sixfold in BSON: beyond this length the text itself is kept. */
const MAX_EMBEDDED_CHARACTERS = 2_000_000;
const MAX_INT64 = (1n << 63n) - 1n;
const MIN_INT64 = -(1n << 63n);

class UnholdableError extends Error {}

type SourceReviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown;

/**
 * A JSON document as an embedded BSON value with every number exact: Int32 or Long for integers, Double where its
 * shortest text has the same decimal value, else Decimal128. What BSON can't hold, or what drivers read back as
 * something else, is `{"$json": "<text>"}` as a whole: keys that begin with `$` or contain NUL, the key `_bsontype`,
 * arrays under a name that every JavaScript object has (`constructor`; Node's driver gives their documents back as bytes),
 * lone surrogates, numbers of more than 34 digits, more than 98 levels, more than two million characters; and the
 * document `null`, since null means SQL's NULL.
 * Throws a SyntaxError for text that is not JSON.
 */
export function jsonToBson(text: string): unknown {
  if (text === 'null' || text.length > MAX_EMBEDDED_CHARACTERS || isTooDeep(text)) return { $json: text };
  try {
    return JSON.parse(text, reviveExactly as (key: string, value: unknown) => unknown);
  } catch (error) {
    if (error instanceof UnholdableError) return { $json: text };
    throw error;
  }
}

/** Whether that is the text itself: no other document has a name that begins with `$`. */
export function isKeptText(value: unknown): value is { readonly $json: string } {
  return typeof value === 'object' && value !== null && '$json' in value;
}

const reviveExactly: SourceReviver = (key, value, { source }) => {
  if (!isHoldableKey(key) || (Array.isArray(value) && key in Object.prototype)) throw new UnholdableError();
  if (typeof value === 'string' && !value.isWellFormed()) throw new UnholdableError();
  return typeof value === 'number' && source !== undefined ? exactNumber(source, value) : value;
};

function isHoldableKey(key: string): boolean {
  return !key.startsWith('$') && key !== '_bsontype' && !key.includes('\0') && key.isWellFormed();
}

function exactNumber(source: string, value: number): unknown {
  if (/^-?\d+$/.test(source)) return exactInteger(source, value);
  if (Number.isFinite(value) && decimalValue(String(value)) === decimalValue(source))
    return Number.isInteger(value) ? new Double(value) : value;
  return exactDecimal(source);
}

function exactInteger(source: string, value: number): unknown {
  if (value >= -0x8000_0000 && value <= 0x7fff_ffff) return Object.is(value, -0) ? 0 : value;
  const exact = BigInt(source);
  if (exact >= MIN_INT64 && exact <= MAX_INT64) return Long.fromBigInt(exact);
  return exactDecimal(source);
}

function exactDecimal(source: string): mongo.Decimal128 {
  try {
    return decimal128FromText(source);
  } catch {
    throw new UnholdableError();
  }
}

/** Equal for two number texts exactly when their decimal values are equal. */
function decimalValue(text: string): string {
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text);
  if (match === null) return text;
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match;
  const digits = (whole + fraction).replace(/^0+/, '');
  const significant = trimEndOf(digits, '0');
  if (significant === '') return '0';
  return `${sign}${significant}e${Number(exponent) - fraction.length + digits.length - significant.length}`;
}

function isTooDeep(text: string): boolean {
  if (text.length < 2 * MAX_DEPTH) return false;
  let depth = 0;
  let inString = false;
  for (let index = 0; index < text.length; index++) {
    const character = text[index];
    if (inString) {
      if (character === '\\') index++;
      else if (character === '"') inString = false;
    } else if (character === '"') inString = true;
    else if (character === '{' || character === '[') {
      if (++depth > MAX_DEPTH) return true;
    } else if (character === '}' || character === ']') depth--;
  }
  return false;
}
