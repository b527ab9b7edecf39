import { type BigintMode } from '#change-events';
import { type DecodableColumn, type ImageColumn } from '../layout/stream-layout.ts';
import { ColumnType, PREFIXED, valueBytes } from '../layout/wire-types.ts';
import { textForm } from './text-form.ts';

/** What the JSON of a column depends on other than the column. */
export interface WriteOptions {
  readonly bigint: BigintMode;
  readonly isKey: boolean;
}

/** How the generated code writes the JSON of a column's values. */
export interface ValueCode {
  /** The JSON is always a string: its opening quote is written with the name before it. */
  readonly isQuoted: boolean;
  /** Code that writes the value at `s` of `b` and `v` to `p` of `o` and `w`, and moves `s` and `p` past it. */
  readonly code: string;
}

const CLOSE = 'w.setUint8(p++, 34);';

function lengthCode(size: number): string {
  switch (size) {
    case 1:
      return 'v.getUint8(s)';
    case 2:
      return 'v.getUint16(s, true)';
    case 3:
      return '(v.getUint16(s, true) | v.getUint8(s + 2) << 16)';
    default:
      return 'v.getUint32(s, true)';
  }
}

/** Code that moves `s` past the value. */
export function skipCode({ physical }: ImageColumn): string {
  const bytes = valueBytes(physical);
  return bytes === PREFIXED ? `s += ${physical.size} + ${lengthCode(physical.size)};` : `s += ${bytes ?? 0};`;
}

function integerCode(type: number, unsigned: boolean): string {
  switch (type) {
    case ColumnType.tiny:
      return unsigned ? 'p = h.writeUnsigned(w, p, v.getUint8(s));' : 'p = h.writeSigned(w, p, v.getInt8(s));';
    case ColumnType.short:
      return unsigned
        ? 'p = h.writeUnsigned(w, p, v.getUint16(s, true));'
        : 'p = h.writeSigned(w, p, v.getInt16(s, true));';
    case ColumnType.int24:
      return unsigned
        ? 'p = h.writeUnsigned(w, p, v.getUint16(s, true) | v.getUint8(s + 2) << 16);'
        : 'p = h.writeSigned(w, p, v.getUint16(s, true) | v.getInt8(s + 2) << 16);';
    case ColumnType.year:
      return 'p = h.writeYear(w, p, v.getUint8(s));';
    default:
      return unsigned
        ? 'p = h.writeUnsigned(w, p, v.getUint32(s, true));'
        : 'p = h.writeSigned(w, p, v.getInt32(s, true));';
  }
}

function plain(code: string): ValueCode {
  return { isQuoted: false, code };
}

function quoted(code: string): ValueCode {
  return { isQuoted: true, code: code + CLOSE };
}

/** Code for the value at `s`, or between `s` and `e` after a length prefix; `c` are the constants of the column. */
function writeCode(of: DecodableColumn, { bigint, isKey }: WriteOptions): ValueCode {
  const { physical, column } = of;
  const { type, size, scale, maxLength } = physical;
  switch (column.kind) {
    case 'integer':
      return plain(integerCode(type, column.unsigned));
    case 'bigint': {
      const code = `p = h.writeBigInteger(v, s, w, p, ${column.unsigned});`;
      return bigint === 'string' ? quoted(code) : plain(code);
    }
    // as a key, -0 is 0
    case 'float':
      return plain(`p = h.writeFloat(w, p, v.getFloat32(s, true)${isKey ? ' + 0' : ''});`);
    case 'double':
      return plain(`p = h.writeDouble(w, p, v.getFloat64(s, true)${isKey ? ' + 0' : ''});`);
    case 'decimal':
      return quoted('p = h.writeDecimal(v, s, w, p, c.groups);');
    case 'date':
      return quoted('p = h.writeDateAt(v, s, w, p);');
    case 'time':
      return quoted(`p = h.writeTimeAt(v, s, w, p, ${scale});`);
    case 'datetime':
      return quoted(`p = h.writeDatetimeAt(v, s, w, p, ${scale});`);
    case 'timestamp':
      return quoted(`p = h.writeTimestampAt(v, s, w, p, ${scale});`);
    case 'boolean':
      return plain('p = h.writeBoolean(w, p, v.getUint8(s) !== 0);');
    case 'bits':
      return quoted(`p = h.writeBase64(v, s, s + ${size}, w, p);`);
    case 'enum':
      return plain(`p = h.writeEnum(c.enumLabels, ${lengthCode(size)}, w, p);`);
    case 'set':
      return plain(`p = h.writeSet(b, s, ${size}, c.labels, o, p);`);
    case 'json':
      return plain('p = h.writeJsonDocument(b, s, e, o, p);');
    case 'geometry':
      return plain('p = h.writeGeometry(b, s, e, o, p);');
    case 'vector':
      return plain('p = h.writeVector(b, s, e, o, p);');
    case 'bytes':
      return quoted(
        type === ColumnType.string
          ? `p = h.writePaddedBase64(b, v, s, e, ${maxLength}, w, p);`
          : 'p = h.writeBase64(v, s, e, w, p);',
      );
    case 'text':
      return textCode(of);
  }
}

function textCode({ physical, column, decodeText }: DecodableColumn): ValueCode {
  if (decodeText === null) throw new TypeError(`no JSON writer for text of column type ${physical.type}`);
  switch (textForm(column.charset, decodeText)) {
    case 'utf8':
      return { isQuoted: true, code: 'p = h.writeUtf8(b, v, s, e, w, p);' };
    case 'ascii-keeping':
      return { isQuoted: true, code: 'p = h.writeAsciiKeeping(b, v, s, e, o, w, p, c.decode);' };
    case 'decoded':
      return plain('p = h.writeDecoded(b, s, e, o, p, c.decode);');
  }
}

export function valueCode(column: DecodableColumn, options: WriteOptions): ValueCode {
  const bytes = valueBytes(column.physical);
  const { isQuoted, code } = writeCode(column, options);
  if (bytes !== PREFIXED) return { isQuoted, code: `${code} s += ${bytes ?? 0};` };
  const { size } = column.physical;
  return { isQuoted, code: `{ const e = s + ${size} + ${lengthCode(size)}; s += ${size}; ${code} s = e; }` };
}
