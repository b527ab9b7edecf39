import { randomUUID } from 'node:crypto';

/**
 * One text per value, equal exactly when the values are equal; null is NULL. Written from the table of canonical values
 * alone: nothing here may come from the code that it judges.
 */
export type ValueText = string | null;

const NUMBER_PATTERN = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/;

/** The exact decimal value without exponent and needless zeros: `1.50`, `15e-1` and `+01.5` are all `1.5`. */
export function decimalText(number: string): string {
  if (/^(?:0|-?[1-9]\d*)$/.test(number)) return number;
  const match = NUMBER_PATTERN.exec(number);
  if (match === null || (match[2] ?? '') + (match[3] ?? '') === '') return wrong('no number', number);
  const fraction = match[3] ?? '';
  const digits = (match[2] ?? '') + fraction;
  const point = digits.length - fraction.length + Number(match[4] ?? 0);
  const padded = '0'.repeat(Math.max(0, 1 - point)) + digits + '0'.repeat(Math.max(0, point - digits.length));
  const at = Math.max(1, point);
  const whole = padded.slice(0, at).replace(/^0+(?=\d)/, '');
  const rest = padded.slice(at).replace(/0+$/, '');
  const text = rest === '' ? whole : `${whole}.${rest}`;
  return match[1] === '-' && text !== '0' ? `-${text}` : text;
}

/** Doubles are compared by their bits, so that -0 is not 0. */
export function doubleText(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

/** What a FLOAT column holds, as the shortest decimal that reads back to the same 32 bits. */
export function floatText(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 2 ** 24) return doubleText(value);
  for (let digits = 1; digits <= 9; digits++) {
    const shorter = Number(value.toPrecision(digits));
    if (Math.fround(shorter) === Math.fround(value)) return doubleText(shorter);
  }
  return doubleText(value);
}

/** A JSON document: keys sorted, numbers by exact decimal value. */
export function jsonText(document: string): string {
  // a double holds every number of up to 15 digits exactly enough to distinguish it from all others
  return describeJson(/[\d.]{16}|\d[eE]/.test(document) ? parseExactly(document) : (JSON.parse(document) as unknown));
}

/** What a number that a double may not hold is parsed to, before its digits: a string that no document can contain. */
const numberMark = `\u0000${randomUUID()}:`;
const quotedNumberMark = JSON.stringify(numberMark).slice(0, -1);

/** A message: `JSON.parse`, but integers of 16 and more digits keep their text (`numberSource`). */
export function parseMessage(text: string): unknown {
  return /\d{16}/.test(text) ? parseExactly(text) : (JSON.parse(text) as unknown);
}

function parseExactly(text: string): unknown {
  const marked = text.replace(/"(?:[^"\\]|\\.)*"|-?\d[\d.]{15,}(?:[eE][+-]?\d+)?|-?[\d.]+[eE][+-]?\d+/g, (token) =>
    token.startsWith('"') ? token : `${quotedNumberMark}${token}"`,
  );
  return JSON.parse(marked) as unknown;
}

/** The text of a parsed number; null when the value is not a number. */
export function numberSource(value: unknown): string | null {
  if (typeof value === 'number') return doubleText(value);
  return typeof value === 'string' && value.startsWith(numberMark) ? value.slice(numberMark.length) : null;
}

/** The text of a parsed JSON value; `foreign` describes values that JSON itself does not have. */
export function describeJson(value: unknown, foreign: (value: object) => string | null = () => null): string {
  if (value === null || typeof value === 'boolean') return String(value);
  const number = numberSource(value);
  if (number !== null) return decimalText(number);
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value !== 'object') return wrong('no JSON value', typeof value);
  if (Array.isArray(value)) return `[${value.map((item) => describeJson(item, foreign)).join(',')}]`;
  const known = foreign(value);
  if (known !== null) return known;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${describeJson(item, foreign)}`).join(',')}}`;
}

/** Stands for something that can't be a value of the column; never equal to one. */
export function wrong(what: string, value: unknown): string {
  const text = typeof value === 'string' ? value : value === undefined ? 'nothing' : JSON.stringify(value);
  return `‹${what}: ${text.slice(0, 200)}›`;
}

/** Texts joined so that different lists never give the same text. */
export function joinTexts(texts: readonly ValueText[]): string {
  let joined = '';
  for (const text of texts) joined += text === null ? '~' : `${text.length}:${text}`;
  return joined;
}

/** Lineage, file, offset, row index, read sequence: 8, 8, 12, 8 and 8 hexadecimal digits. */
export function isVersion(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{44}$/.test(value);
}
