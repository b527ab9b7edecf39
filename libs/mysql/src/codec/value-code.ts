import { type BigintMode } from '#change-events';
import { ColumnType } from '../layout/column-types.ts';
import { type DecodableColumn, type ImageColumn } from '../layout/stream-layout.ts';
import { textForm } from './text-form.ts';
import { PREFIXED, valueBytes } from './value-layout.ts';

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
    default:
      return unsigned
        ? 'p = h.writeUnsigned(w, p, v.getUint32(s, true));'
        : 'p = h.writeSigned(w, p, v.getInt32(s, true));';
  }
}

/** Code for a value of fixed size; `c` are the constants of the column. */
function fixedCode({ physical, column }: DecodableColumn, { bigint, isKey }: WriteOptions): ValueCode {
  const { type, size, scale } = physical;
  const plain = (code: string): ValueCode => ({ isQuoted: false, code });
  const quoted = (code: string): ValueCode => ({ isQuoted: true, code: code + CLOSE });
  switch (type) {
    case ColumnType.tiny:
    case ColumnType.short:
    case ColumnType.int24:
    case ColumnType.long:
      return plain(integerCode(type, column.unsigned));
    case ColumnType.longlong: {
      const code = `p = h.writeBigInteger(v, s, w, p, ${column.unsigned});`;
      return bigint === 'string' ? quoted(code) : plain(code);
    }
    // as a key, -0 is 0
    case ColumnType.float:
      return plain(`p = h.writeFloat(w, p, v.getFloat32(s, true)${isKey ? ' + 0' : ''});`);
    case ColumnType.double:
      return plain(`p = h.writeDouble(w, p, v.getFloat64(s, true)${isKey ? ' + 0' : ''});`);
    case ColumnType.newDecimal:
      return quoted('p = h.writeDecimal(v, s, w, p, c.groups);');
    case ColumnType.year:
      return plain('p = h.writeYear(w, p, v.getUint8(s));');
    case ColumnType.date:
      return quoted('p = h.writeDateAt(v, s, w, p);');
    case ColumnType.time2:
      return quoted(`p = h.writeTimeAt(v, s, w, p, ${scale});`);
    case ColumnType.datetime2:
      return quoted(`p = h.writeDatetimeAt(v, s, w, p, ${scale});`);
    case ColumnType.timestamp2:
      return quoted(`p = h.writeTimestampAt(v, s, w, p, ${scale});`);
    case ColumnType.bit:
      if (column.kind === 'boolean') return plain('p = h.writeBoolean(w, p, v.getUint8(s) !== 0);');
      return quoted(`p = h.writeBase64(v, s, s + ${size}, w, p);`);
    case ColumnType.enum:
      return plain(`p = h.writeEnum(c.enumLabels, ${lengthCode(size)}, w, p);`);
    case ColumnType.set:
      return plain(`p = h.writeSet(b, s, ${size}, c.labels, o, p);`);
    default:
      throw new TypeError(`no JSON writer for column type ${type}`);
  }
}

/** Code for the value between `s` and `e`. */
function prefixedCode({ physical, column, decodeText }: DecodableColumn): ValueCode {
  switch (column.kind) {
    case 'json':
      return { isQuoted: false, code: 'p = h.writeJsonDocument(b, s, e, o, p);' };
    case 'geometry':
      return { isQuoted: false, code: 'p = h.writeGeometry(b, s, e, o, p);' };
    case 'vector':
      return { isQuoted: false, code: 'p = h.writeVector(b, s, e, o, p);' };
    case 'bytes': {
      const isPadded = physical.type === ColumnType.string;
      const write = isPadded
        ? `p = h.writePaddedBase64(b, v, s, e, ${physical.maxLength}, w, p);`
        : 'p = h.writeBase64(v, s, e, w, p);';
      return { isQuoted: true, code: write + CLOSE };
    }
    default:
      if (decodeText === null) throw new TypeError(`no JSON writer for column type ${physical.type}`);
      switch (textForm(column.charset, decodeText)) {
        case 'utf8':
          return { isQuoted: true, code: 'p = h.writeUtf8(b, v, s, e, w, p);' };
        case 'ascii-keeping':
          return { isQuoted: true, code: 'p = h.writeAsciiKeeping(b, v, s, e, o, w, p, c.decode);' };
        case 'decoded':
          return { isQuoted: false, code: 'p = h.writeDecoded(b, s, e, o, p, c.decode);' };
      }
  }
}

export function valueCode(column: DecodableColumn, options: WriteOptions): ValueCode {
  const bytes = valueBytes(column.physical);
  if (bytes !== PREFIXED) {
    const { isQuoted, code } = fixedCode(column, options);
    return { isQuoted, code: `${code} s += ${bytes ?? 0};` };
  }
  const { size } = column.physical;
  const { isQuoted, code } = prefixedCode(column);
  return { isQuoted, code: `{ const e = s + ${size} + ${lengthCode(size)}; s += ${size}; ${code} s = e; }` };
}
