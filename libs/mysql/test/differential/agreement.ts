import { isDeepStrictEqual } from 'node:util';
import { type CanonicalValue, type Column } from '#change-events';

/** Whether zongji's value is Ditto's in zongji's form: what follows is form, no rounding and no exception. */
export function isSameValue(column: Column, ditto: CanonicalValue, zongji: unknown): boolean {
  return isDeepStrictEqual(zongjiForm(column, ditto), zongji);
}

function zongjiForm({ kind }: Column, value: CanonicalValue): unknown {
  if (value === null) return null;
  switch (kind) {
    case 'bigint':
      return typeof value === 'bigint' ? value.toString() : value;
    case 'boolean':
      return Buffer.from([value === true ? 1 : 0]);
    case 'datetime':
      return String(value).replace('T', ' ');
    case 'timestamp':
      return String(value).replace('T', ' ').replace('Z', '');
    case 'geometry':
      return coordinates(value as Buffer);
    case 'integer':
    case 'decimal':
    case 'float':
    case 'double':
    case 'text':
    case 'bytes':
    case 'bits':
    case 'date':
    case 'time':
    case 'enum':
    case 'set':
    case 'json':
    case 'vector':
      return value;
  }
}

const POINT = 1;
const LINE_STRING = 2;
const SRID_BYTES = 4;

/** Points and lines, little-endian WKB after the SRID. */
function coordinates(value: Buffer): unknown {
  const wkb = value.subarray(SRID_BYTES);
  const pointAt = (at: number): unknown => ({ x: wkb.readDoubleLE(at), y: wkb.readDoubleLE(at + 8) });
  switch (wkb.readUInt32LE(1)) {
    case POINT:
      return pointAt(5);
    case LINE_STRING:
      return Array.from({ length: wkb.readUInt32LE(5) }, (_, i) => pointAt(9 + 16 * i));
    default:
      throw new Error('a geometry that random rows do not have');
  }
}
