import { shortestFloat, type Row } from '#change-events';
import { ColumnType } from '../layout/column-types.ts';
import { type DecodableColumn, type ImageColumn, isDecodable } from '../layout/stream-layout.ts';
import { type TextDecode } from '../values/charset.ts';
import { jsonTextFromBinary } from '../values/json-binary.ts';
import { decimalBytes, decimalText, joinInteger } from '../values/numbers.ts';
import { nullBytes, PREFIXED, valueBytes } from './value-layout.ts';
import { dateText, datetimeText, fractionBytes, timestampText, timeText } from '../values/temporal.ts';

/** The canonical values of the full image at `at`, whose lengths must have been proven by `ImageSkip`. */
export type RowDecoder = (bytes: Buffer, at: number) => Row;

/** Slices this small are copied, so that one value does not hold the network buffer that it came in. */
const COPIED_BELOW_BYTES = 4096;

function ownBytes(bytes: Buffer, start: number, end: number): Buffer {
  return end - start < COPIED_BELOW_BYTES ? Buffer.from(bytes.subarray(start, end)) : bytes.subarray(start, end);
}

/** BINARY(n): the log leaves out trailing zero bytes. */
export function paddedBytes(bytes: Buffer, start: number, end: number, length: number): Buffer {
  if (end - start > length) throw new RangeError(`${end - start} bytes in a column of ${length}`);
  const value = Buffer.alloc(length);
  bytes.copy(value, 0, start, end);
  return value;
}

function bigIntegerAt(bytes: Buffer, at: number, unsigned: boolean): number | bigint {
  return joinInteger(bytes.readUInt32LE(at), unsigned ? bytes.readUInt32LE(at + 4) : bytes.readInt32LE(at + 4));
}

/** As the server joins them: no comma before anything was written, so an empty first label leaves no trace. */
export function setLabels(bytes: Buffer, at: number, size: number, labels: readonly string[]): string {
  let text = '';
  for (let i = 0; i < size * 8; i++) {
    if (((bytes[at + (i >> 3)] ?? 0) & (1 << (i & 7))) === 0) continue;
    const label = labels[i];
    if (label === undefined) throw new RangeError('a SET bit without a label');
    text += text === '' ? label : `,${label}`;
  }
  return text;
}

function enumLabel(labels: readonly string[], index: number): string {
  if (index === 0) return '';
  const label = labels[index - 1];
  if (label === undefined) throw new RangeError(`ENUM index ${index} without a label`);
  return label;
}

/** SRID (4 bytes) and WKB; nothing at all where DDL filled a NOT NULL column. Returns the end. */
export function checkGeometry(start: number, end: number): number {
  if (end > start && end - start < 4) throw new RangeError('a geometry without an SRID');
  return end;
}

/** Returns the end. */
export function checkVector(start: number, end: number): number {
  if ((end - start) % 4 !== 0) throw new RangeError('a vector with part of a number');
  return end;
}

/** What the generated code calls; named here, referred to as `h.<name>`. */
const HELPERS = {
  ownBytes,
  paddedBytes,
  bigIntegerAt,
  setLabels,
  enumLabel,
  shortestFloat,
  decimalText,
  dateText,
  timeText,
  datetimeText,
  timestampText,
  jsonTextFromBinary,
  checkGeometry,
  checkVector,
};

/** `b[p + i] | b[p + i + 1] << 8 …` for `count` bytes. */
function littleEndian(count: number): string {
  return Array.from({ length: count }, (_, i) => (i === 0 ? 'b[p]' : `b[p + ${i}] << ${8 * i}`)).join(' | ');
}

function integerCode(count: number, unsigned: boolean): string {
  const raw = littleEndian(count);
  const shift = 32 - 8 * count;
  if (unsigned) return count === 4 ? `(${raw}) >>> 0` : raw;
  return shift === 0 ? raw : `(${raw}) << ${shift} >> ${shift}`;
}

/** Code that sets `v<i>` from the bytes at `p` and moves `p`. */
function columnCode({ physical, column }: DecodableColumn, i: number): string {
  const { type, size, scale } = physical;
  const fixed = (value: string, bytes: number): string => `v${i} = ${value}; p += ${bytes};`;
  const prefixed = (prefix: number, value: string): string =>
    `{ const s = p + ${prefix}; p = s + ((${littleEndian(prefix)}) >>> 0); v${i} = ${value}; }`;
  switch (type) {
    case ColumnType.tiny:
      return fixed(integerCode(1, column.unsigned), 1);
    case ColumnType.short:
      return fixed(integerCode(2, column.unsigned), 2);
    case ColumnType.int24:
      return fixed(integerCode(3, column.unsigned), 3);
    case ColumnType.long:
      return fixed(integerCode(4, column.unsigned), 4);
    case ColumnType.longlong:
      return fixed(`h.bigIntegerAt(b, p, ${column.unsigned})`, 8);
    case ColumnType.float:
      return fixed('h.shortestFloat(b.readFloatLE(p))', 4);
    case ColumnType.double:
      return fixed('b.readDoubleLE(p)', 8);
    case ColumnType.newDecimal:
      return fixed(`h.decimalText(b, p, ${physical.precision}, ${scale})`, decimalBytes(physical.precision, scale));
    case ColumnType.year:
      return fixed('b[p] === 0 ? 0 : b[p] + 1900', 1);
    case ColumnType.date:
      return fixed(`h.dateText(${littleEndian(3)})`, 3);
    case ColumnType.time2:
      return fixed(`h.timeText(b, p, ${scale})`, 3 + fractionBytes(scale));
    case ColumnType.datetime2:
      return fixed(`h.datetimeText(b, p, ${scale})`, 5 + fractionBytes(scale));
    case ColumnType.timestamp2:
      return fixed(`h.timestampText(b, p, ${scale})`, 4 + fractionBytes(scale));
    case ColumnType.bit:
      return fixed(column.kind === 'boolean' ? 'b[p] !== 0' : `h.ownBytes(b, p, p + ${size})`, size);
    case ColumnType.enum:
      return fixed(`h.enumLabel(l${i}, ${littleEndian(size)})`, size);
    case ColumnType.set:
      return fixed(`h.setLabels(b, p, ${size}, l${i})`, size);
    case ColumnType.json:
      return prefixed(size, 'h.jsonTextFromBinary(b.subarray(s, p))');
    case ColumnType.string:
      if (column.kind === 'bytes') return prefixed(size, `h.paddedBytes(b, s, p, ${physical.maxLength})`);
      return prefixed(size, `t${i}(b, s, p)`);
    case ColumnType.varchar:
    case ColumnType.varString:
    case ColumnType.blob:
      return prefixed(size, column.kind === 'bytes' ? 'h.ownBytes(b, s, p)' : `t${i}(b, s, p)`);
    case ColumnType.geometry:
      return prefixed(size, 'h.ownBytes(b, s, h.checkGeometry(s, p))');
    case ColumnType.vector:
      return prefixed(size, 'h.ownBytes(b, s, h.checkVector(s, p))');
    default:
      throw new TypeError(`no decoder for column type ${type}`);
  }
}

/** Code that moves `p` past a value that nobody wants. */
function passCode({ physical }: ImageColumn): string {
  const bytes = valueBytes(physical);
  if (bytes !== PREFIXED) return `p += ${bytes ?? 0};`;
  return `p += ${physical.size} + ((${littleEndian(physical.size)}) >>> 0);`;
}

type DecoderFactory = (
  helpers: typeof HELPERS,
  labels: readonly (readonly string[])[],
  texts: readonly (TextDecode | null)[],
) => RowDecoder;

/**
 * Compiles the decoder of a layout's full row images: NULL bits, then the values of the columns that are not NULL
 * (MySQL source, `libs/mysql/binlog/event/rows_event.h`, Rows_event). Excluded columns are no part of the row. Only
 * numbers from the log's metadata go into the generated code, never names.
 */
export function compileRowDecoder(columns: readonly ImageColumn[]): RowDecoder {
  const constants = columns.flatMap((column, i) => [
    ...(column.decodeText === null ? [] : [`const t${i} = t[${i}];`]),
    ...(column.column?.kind === 'enum' || column.column?.kind === 'set' ? [`const l${i} = l[${i}];`] : []),
  ]);
  const values = columns.flatMap((column, i) => (isDecodable(column) ? [`v${i}`] : []));
  const body = [
    '"use strict";',
    ...constants,
    'return function decodeRow(b, q) {',
    `let p = q + ${nullBytes(columns.length)};`,
    ...columns.map((column, i) => {
      const isPresent = `(b[q + ${i >> 3}] & ${1 << (i & 7)}) === 0`;
      if (!isDecodable(column)) return `if (${isPresent}) { ${passCode(column)} }`;
      return `let v${i} = null; if (${isPresent}) { ${columnCode(column, i)} }`;
    }),
    `return [${values.join(', ')}];`,
    '};',
  ].join('\n');
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- decoders are compiled once for each layout
  const makeDecoder = new Function('h', 'l', 't', body) as DecoderFactory;
  return makeDecoder(
    HELPERS,
    columns.map(({ column }) => column?.labels ?? []),
    columns.map(({ decodeText }) => decodeText),
  );
}
