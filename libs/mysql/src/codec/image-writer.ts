import { type ImageColumn, isDecodable } from '../layout/stream-layout.ts';
import { type TextDecode } from '../values/charset.ts';
import { decimalGroups, type DecimalGroups } from '../values/numbers.ts';
import { writeBase64 } from './base64-writer.ts';
import { isUnrolled, labelCode, labelOf, labelUnits, nullCode, writeLabel } from './json-members.ts';
import { writeDecimal } from './decimal-writer.ts';
import { nullBytes } from './image-skip.ts';
import { writeBigInteger, writeSigned, writeUnsigned } from './digit-writers.ts';
import { writeDateAt, writeDatetimeAt, writeTimeAt, writeTimestampAt } from './temporal-writers.ts';
import { skipCode, valueCode, type WriteOptions } from './value-code.ts';
import {
  encodeEnumLabels,
  writeAsciiKeeping,
  writeBoolean,
  writeDecoded,
  writeDouble,
  writeEnum,
  writeFloat,
  writeGeometry,
  writeJsonDocument,
  writePaddedBase64,
  writeSet,
  writeUtf8,
  writeVector,
  writeYear,
} from './value-writers.ts';

/**
 * Writes columns of the image at `at` as a JSON object into the target from `p` on; returns the end. The views are
 * views of the whole buffers. The image's lengths must have been proven by `ImageSkip`.
 */
export type ImageWriter = (
  bytes: Buffer,
  view: DataView,
  at: number,
  target: Buffer,
  targetView: DataView,
  p: number,
) => number;

/** What the generated code calls, as `h.<name>`. */
const HELPERS = {
  writeLabel,
  writeUnsigned,
  writeSigned,
  writeBigInteger,
  writeDecimal,
  writeDouble,
  writeFloat,
  writeBoolean,
  writeYear,
  writeDateAt,
  writeTimeAt,
  writeDatetimeAt,
  writeTimestampAt,
  writeBase64,
  writePaddedBase64,
  writeUtf8,
  writeAsciiKeeping,
  writeDecoded,
  writeEnum,
  writeSet,
  writeJsonDocument,
  writeGeometry,
  writeVector,
};

/** What the generated code reads of a column, as `c<i>` (and `c` in the code of its value). */
interface ColumnConstants {
  readonly decode: TextDecode | null;
  readonly groups: DecimalGroups;
  readonly labels: readonly string[];
  readonly enumLabels: readonly Buffer[];
}

function constantsOf({ physical, column, decodeText }: ImageColumn): ColumnConstants {
  return {
    decode: decodeText,
    groups: decimalGroups(physical.precision, physical.scale),
    labels: column?.labels ?? [],
    enumLabels: column?.kind === 'enum' ? encodeEnumLabels(column.labels) : [],
  };
}

class WriterSource {
  readonly labels: Int32Array[] = [];
  readonly #columns: readonly ImageColumn[];
  readonly #options: WriteOptions;

  constructor(columns: readonly ImageColumn[], options: WriteOptions) {
    this.#columns = columns;
    this.#options = options;
  }

  /** Code that writes name and value of a column; `isNull` is an expression. */
  member(index: number, isNull: string, unrolled: boolean): string {
    const column = this.#columns[index];
    if (column === undefined || !isDecodable(column)) throw new RangeError(`no column ${index}`);
    const { isQuoted, code } = valueCode(column, this.#options);
    const label = labelOf(column.column.name, this.labels.length === 0, isQuoted);
    const write = labelCode(this.labels.length, label.length, unrolled);
    this.labels.push(labelUnits(label));
    return `${write} if (${isNull}) { ${nullCode(isQuoted)} } else { const c = c${index}; ${code} }`;
  }
}

function nullTest(index: number): string {
  return `(v.getUint8(at + ${index >> 3}) & ${1 << (index & 7)}) !== 0`;
}

function compile(
  columns: readonly ImageColumn[],
  labels: readonly Int32Array[],
  lines: readonly string[],
): ImageWriter {
  const body = [
    '"use strict";',
    ...columns.map((_, i) => `const c${i} = c[${i}];`),
    ...labels.map((_, i) => `const l${i} = l[${i}];`),
    'return function writeImage(b, v, at, o, w, p) {',
    `let s = at + ${nullBytes(columns.length)};`,
    ...lines,
    'w.setUint8(p++, 125);',
    'return p;',
    '};',
  ].join('\n');
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- compiled once for each layout
  const makeWriter = new Function('h', 'c', 'l', body) as (
    helpers: typeof HELPERS,
    constants: readonly ColumnConstants[],
    units: readonly Int32Array[],
  ) => ImageWriter;
  return makeWriter(HELPERS, columns.map(constantsOf), labels);
}

/**
 * Compiles the writer of the whole row: what `compileJsonRowEncoder` gives for the decoded values, byte for byte. Only
 * numbers from the log's metadata go into the generated code, never names.
 */
export function compileRowWriter(columns: readonly ImageColumn[], options: Omit<WriteOptions, 'isKey'>): ImageWriter {
  const source = new WriterSource(columns, { ...options, isKey: false });
  const unrolled = isUnrolled(columns.length);
  const lines = columns.map((column, i) =>
    isDecodable(column) ? source.member(i, nullTest(i), unrolled) : `if (!(${nullTest(i)})) { ${skipCode(column)} }`,
  );
  return compile(columns, source.labels, lines);
}

/** Compiles the writer of the key: what `compileKeyEncoder` gives, byte for byte. */
export function compileKeyWriter(
  columns: readonly ImageColumn[],
  key: readonly number[],
  options: Omit<WriteOptions, 'isKey'>,
): ImageWriter {
  const source = new WriterSource(columns, { ...options, isKey: true });
  const isKeyColumn = new Set(key);
  const places = columns.slice(0, Math.max(...key) + 1).map((column, i) => {
    const place = isKeyColumn.has(i) ? `s${i} = s; ` : '';
    const skip = `${place}${skipCode(column)}`;
    return `${isKeyColumn.has(i) ? `let s${i} = -1; ` : ''}if ((v.getUint8(at + ${i >> 3}) & ${1 << (i & 7)}) === 0) { ${skip} }`;
  });
  const members = key.map((index) => `s = s${index}; ${source.member(index, 's === -1', true)}`);
  return compile(columns, source.labels, [...places, ...members]);
}
