import { DittoError } from '#kernel';
import { shortestFloat } from './float.ts';
import { type ColumnKind } from './table-layout.ts';

/** How integers of BIGINT columns are written: as numbers with all digits, or as strings for readers with doubles. */
export type BigintMode = 'number' | 'string';

const QUOTE = 34;
const BACKSLASH = 92;
/** Below this many characters a look at each beats the call of JSON.stringify. */
const SHORT = 24;

/** A JSON string. Lone surrogates become `\udXXX` escapes, as JSON.stringify writes them. */
export function quoteJson(text: string): string {
  const length = text.length;
  if (length >= SHORT) return JSON.stringify(text);
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code < 32 || code === QUOTE || code === BACKSLASH || code >= 0xd800) return JSON.stringify(text);
  }
  return '"' + text + '"';
}

/** The shortest JSON number that reads back to the same double; -0 keeps its sign. Not finite: `DITTO_VALUE_NOT_FINITE`. */
export function encodeDouble(value: number): string {
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  if (value - value !== 0) {
    throw new DittoError('DITTO_VALUE_NOT_FINITE', `JSON has no number for ${value}.`, {
      context: { value: String(value) },
    });
  }
  return String(value);
}

export function encodeBase64(value: Buffer): string {
  return '"' + value.toString('base64') + '"';
}

const SRID_BYTES = 4;

/**
 * `{"wkb":"base64","srid":4326}`; SRID 0 (none given) is null, as Debezium writes it. So is the SRID of an empty value,
 * which DDL leaves in a NOT NULL column.
 */
export function encodeGeometry(value: Buffer): string {
  const srid = value.length === 0 ? 0 : value.readUInt32LE(0);
  return '{"wkb":"' + value.toString('base64', SRID_BYTES) + '","srid":' + (srid === 0 ? 'null' : String(srid)) + '}';
}

/** An array of numbers, each the shortest text of its 32-bit float. */
export function encodeVector(value: Buffer): string {
  let text = '[';
  for (let at = 0; at + 4 <= value.length; at += 4) {
    if (at > 0) text += ',';
    text += encodeDouble(shortestFloat(value.readFloatLE(at)));
  }
  return text + ']';
}

/** As a key, -0 is 0: to MySQL and MongoDB they are one key. */
function encodeKeyDouble(value: number): string {
  return encodeDouble(value + 0);
}

/** What generated code may call, by the names that `JSON_ENCODING` uses. */
export const encoderFunctions = {
  quoteJson,
  encodeDouble,
  encodeKeyDouble,
  encodeBase64,
  encodeGeometry,
  encodeVector,
} as const;

interface JsonEncoding {
  /** A JavaScript expression for the JSON text of the canonical value in the variable `v`, which is not null. */
  readonly expression: string;
  /** The same for a value of the message's key, where it differs. */
  readonly inKey?: string;
  /** The same for the mode `string` of BIGINT columns, where it differs. */
  readonly asString?: string;
  /** Values of any length, whose JSON string may be written in pieces. */
  readonly isWide: boolean;
}

const QUOTED: JsonEncoding = { expression: `'"' + v + '"'`, isWide: false };
const DOUBLE: JsonEncoding = { expression: 'encodeDouble(v)', inKey: 'encodeKeyDouble(v)', isWide: false };

export const JSON_ENCODING: Readonly<Record<ColumnKind, JsonEncoding>> = {
  integer: { expression: 'v', isWide: false },
  bigint: { expression: 'v', asString: QUOTED.expression, isWide: false },
  decimal: QUOTED,
  float: DOUBLE,
  double: DOUBLE,
  text: { expression: 'quoteJson(v)', isWide: true },
  bytes: { expression: 'encodeBase64(v)', isWide: true },
  boolean: { expression: 'v', isWide: false },
  bits: { expression: 'encodeBase64(v)', isWide: false },
  date: QUOTED,
  time: QUOTED,
  datetime: QUOTED,
  timestamp: QUOTED,
  enum: { expression: 'quoteJson(v)', isWide: false },
  set: { expression: 'quoteJson(v)', isWide: false },
  json: { expression: 'JSON.stringify(v)', isWide: true },
  geometry: { expression: 'encodeGeometry(v)', isWide: false },
  vector: { expression: 'encodeVector(v)', isWide: false },
};

/** The expression of `JsonEncoding` for these options. */
export function valueExpression(kind: ColumnKind, bigint: BigintMode, isKey: boolean): string {
  const { expression, inKey, asString } = JSON_ENCODING[kind];
  return (bigint === 'string' ? asString : undefined) ?? (isKey ? inKey : undefined) ?? expression;
}
