import mongoose from 'mongoose';
import {
  decimalText,
  describeJson,
  doubleText,
  floatText,
  joinTexts,
  jsonText,
  numberSource,
  type ValueText,
  wrong,
} from './canonical-text.ts';
import type { OracleColumn } from './column.ts';

const { Binary, Decimal128, Double, Int32, Long } = mongoose.mongo;

/** What MySQL rendered (`OracleColumn.select`): text, or a number for FLOAT and DOUBLE. */
export function readMySqlValue(column: OracleColumn, value: unknown): ValueText {
  if (value === null) return null;
  if (column.kind === 'float' && typeof value === 'number') return floatText(value);
  if (column.kind === 'double' && typeof value === 'number') return doubleText(value);
  if (typeof value !== 'string') return wrong('not rendered as text', value);
  switch (column.kind) {
    case 'decimal':
      return decimalText(value);
    case 'bytes':
      return value.toLowerCase();
    case 'geometry':
      return value.toLowerCase();
    case 'vector':
      return vectorText(Buffer.from(value, 'hex'));
    case 'json':
      return jsonText(value);
    case 'integer':
    case 'text':
    case 'boolean':
    case 'temporal':
      return value;
    case 'float':
    case 'double':
      return wrong('rendered as text', value);
  }
}

/** Four bytes a number, little-endian. */
function vectorText(bytes: Buffer): string {
  return joinTexts(Array.from({ length: bytes.length / 4 }, (_, i) => floatText(bytes.readFloatLE(i * 4))));
}

/** A value of `before` or `after` in a message, or of its key; undefined when it is absent. */
export function readMessageValue(column: OracleColumn, value: unknown): ValueText {
  if (value === undefined) return wrong('absent', column.name);
  if (value === null) return null;
  switch (column.kind) {
    case 'integer':
      return readMessageInteger(value);
    case 'float':
    case 'double':
      return readMessageDouble(value);
    case 'boolean':
      return typeof value === 'boolean' ? String(value) : wrong('no boolean', value);
    case 'geometry':
      return readMessageGeometry(value);
    case 'vector':
      return Array.isArray(value) ? joinTexts(value.map(readMessageDouble)) : wrong('no array', value);
    case 'decimal':
      return readMessageString(value, decimalText);
    case 'bytes':
      return readMessageString(value, readBase64);
    case 'json':
      return readMessageString(value, readJsonText);
    case 'text':
    case 'temporal':
      return readMessageString(value, (text) => text);
  }
}

function readMessageInteger(value: unknown): string {
  const source = numberSource(value);
  return source !== null && /^-?\d+$/.test(source) ? source : wrong('no integer', value);
}

function readMessageDouble(value: unknown): string {
  const source = numberSource(value);
  return source === null ? wrong('no number', value) : doubleText(Number(source));
}

/** `{"wkb": "<base64>", "srid": number or null for 0}`, with these members in this order. */
function readMessageGeometry(value: unknown): string {
  if (typeof value !== 'object' || value === null || Object.keys(value).join() !== 'wkb,srid')
    return wrong('no geometry', value);
  const [wkb, srid] = Object.values(value) as unknown[];
  const bytes = typeof wkb === 'string' ? Buffer.from(wkb, 'base64') : null;
  if (bytes === null || bytes.toString('base64') !== wkb || srid === 0) return wrong('no geometry', value);
  return `${srid === null ? '0' : (numberSource(srid) ?? wrong('no number', srid))} ${bytes.toString('hex')}`;
}

function readMessageString(value: unknown, read: (text: string) => string): string {
  return typeof value === 'string' && numberSource(value) === null ? read(value) : wrong('no string', value);
}

function readBase64(value: string): string {
  const bytes = Buffer.from(value, 'base64');
  return bytes.toString('base64') === value ? bytes.toString('hex') : wrong('no base64', value);
}

function readJsonText(value: string): string {
  try {
    return jsonText(value);
  } catch {
    return wrong('no JSON', value);
  }
}

/**
 * A part of an `_id`. MongoDB takes Int32 1 and Long 1 for one `_id`, and a document keeps the one that it was made with
 * when its column gets another width.
 */
export function readBsonKey(column: OracleColumn, value: unknown): ValueText {
  if (column.kind === 'integer' && value instanceof Int32) return String(value.value);
  if (column.kind === 'integer' && Long.isLong(value)) return value.toString();
  return readBsonValue(column, value);
}

/** A BSON value read without promotion, so that Int32, Long and Double are distinguished. */
export function readBsonValue(column: OracleColumn, value: unknown): ValueText {
  if (value === undefined) return wrong('absent', column.name);
  if (column.kind === 'json') return value === null ? null : describeBson(value);
  if (value === null) return null;
  switch (column.kind) {
    case 'integer':
      return readBsonInteger(column, value);
    case 'decimal':
      if (column.small)
        return value instanceof Decimal128 ? decimalText(value.toString()) : wrong('no Decimal128', value);
      return typeof value === 'string' ? decimalText(value) : wrong('no string', value);
    case 'float':
    case 'double':
      return value instanceof Double ? doubleText(value.value) : wrong('no Double', value);
    case 'bytes':
      return value instanceof Binary ? Buffer.from(value.value()).toString('hex') : wrong('no Binary', value);
    case 'boolean':
      return typeof value === 'boolean' ? String(value) : wrong('no Boolean', value);
    case 'geometry':
      return value instanceof Binary ? readStoredGeometry(Buffer.from(value.value())) : wrong('no Binary', value);
    case 'vector':
      return Array.isArray(value) ? joinTexts(value.map(readBsonFloat)) : wrong('no array', value);
    case 'text':
    case 'temporal':
      return typeof value === 'string' ? value : wrong('no String', value);
  }
}

function readStoredGeometry(bytes: Buffer): string {
  return bytes.length < 5
    ? wrong('no geometry', bytes.toString('hex'))
    : `${bytes.readUInt32LE(0)} ${bytes.toString('hex', 4)}`;
}

/** A Double that is exactly a 32-bit value. */
function readBsonFloat(value: unknown): string {
  if (!(value instanceof Double)) return wrong('no Double', value);
  return Object.is(Math.fround(value.value), value.value) ? floatText(value.value) : wrong('no 32 bits', value.value);
}

const LARGEST_LONG = 2n ** 63n - 1n;

function readBsonInteger(column: OracleColumn, value: unknown): string {
  if (column.small) return value instanceof Int32 ? String(value.value) : wrong('no Int32', value);
  if (Long.isLong(value)) return value.toString();
  if (!(value instanceof Decimal128)) return wrong('no Long', value);
  const text = decimalText(value.toString());
  return /^\d+$/.test(text) && BigInt(text) > LARGEST_LONG ? text : wrong('a Decimal128 that a Long would hold', text);
}

/** An embedded JSON document; what BSON can't hold is written as `{"$json": "<text>"}`. */
function describeBson(value: unknown): string {
  return describeJson(value, (object) => {
    if (object instanceof Int32 || object instanceof Double) return decimalText(String(object.value));
    if (Long.isLong(object) || object instanceof Decimal128) return decimalText(object.toString());
    const entries = Object.entries(object);
    const [name, text] = entries[0] ?? [];
    if (entries.length === 1 && name === '$json' && typeof text === 'string') return readJsonText(text);
    return '_bsontype' in object ? wrong('no JSON', object) : null;
  });
}
