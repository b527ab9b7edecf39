import { shortestFloat, type Row } from '#change-events';
import { type DecodableColumn, type ImageColumn, isDecodable } from '../layout/stream-layout.ts';
import { ColumnType, PREFIXED, valueBytes } from '../layout/wire-types.ts';
import { type TextDecode } from '../values/charset.ts';
import { jsonTextFromBinary } from '../values/json-binary.ts';
import { decimalText, joinInteger } from '../values/numbers.ts';
import { nullBytes } from './image-skip.ts';
import { dateText, datetimeText, timestampText, timeText } from '../values/temporal.ts';

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

/** An expression for the value at `p`, or between `s` and `p` after a length prefix. */
function valueExpression({ physical, column }: DecodableColumn, i: number): string {
  const { type, size, scale, precision, maxLength } = physical;
  switch (column.kind) {
    case 'integer':
      if (type === ColumnType.year) return 'b[p] === 0 ? 0 : b[p] + 1900';
      return integerCode(valueBytes(physical) ?? 0, column.unsigned);
    case 'bigint':
      return `h.bigIntegerAt(b, p, ${column.unsigned})`;
    case 'float':
      return 'h.shortestFloat(b.readFloatLE(p))';
    case 'double':
      return 'b.readDoubleLE(p)';
    case 'decimal':
      return `h.decimalText(b, p, ${precision}, ${scale})`;
    case 'date':
      return `h.dateText(${littleEndian(3)})`;
    case 'time':
      return `h.timeText(b, p, ${scale})`;
    case 'datetime':
      return `h.datetimeText(b, p, ${scale})`;
    case 'timestamp':
      return `h.timestampText(b, p, ${scale})`;
    case 'boolean':
      return 'b[p] !== 0';
    case 'bits':
      return `h.ownBytes(b, p, p + ${size})`;
    case 'enum':
      return `h.enumLabel(l${i}, ${littleEndian(size)})`;
    case 'set':
      return `h.setLabels(b, p, ${size}, l${i})`;
    case 'json':
      return 'h.jsonTextFromBinary(b.subarray(s, p))';
    case 'text':
      return `t${i}(b, s, p)`;
    case 'bytes':
      return type === ColumnType.string ? `h.paddedBytes(b, s, p, ${maxLength})` : 'h.ownBytes(b, s, p)';
    case 'geometry':
      return 'h.ownBytes(b, s, h.checkGeometry(s, p))';
    case 'vector':
      return 'h.ownBytes(b, s, h.checkVector(s, p))';
  }
}

/** Code that sets `v<i>` from the bytes at `p` and moves `p`. */
function columnCode(column: DecodableColumn, i: number): string {
  const bytes = valueBytes(column.physical);
  const value = valueExpression(column, i);
  if (bytes !== PREFIXED) return `v${i} = ${value}; p += ${bytes ?? 0};`;
  const { size } = column.physical;
  return `{ const s = p + ${size}; p = s + ((${littleEndian(size)}) >>> 0); v${i} = ${value}; }`;
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
