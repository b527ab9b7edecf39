import { measureValue } from './bson-reader.ts';
import { BsonType, makeLabel } from './bson-writer.ts';

const ID_NAME = Buffer.from('_id\u0000');
const ROW = makeLabel(BsonType.document, 'row');
const VERSION = makeLabel(BsonType.string, 'v');
const TIME = makeLabel(BsonType.date, 'ts');
const GTID = makeLabel(BsonType.string, 'gtid');
const NO_GTID = makeLabel(BsonType.null, 'gtid');
const DELETED_AT = makeLabel(BsonType.date, 'deletedAt');
export const LENGTH_BYTES = 4;
const DATE_BYTES = 8;
export const VERSION_DIGITS = 44;

/** Where the parts of a document of the mirror are; 0 for what is not there. */
export class DocumentParts {
  /** The end of the element `_id`, which begins after the length. */
  idEnd = 0;
  rowStart = 0;
  rowEnd = 0;
  versionStart = 0;
  gtidStart = 0;
  gtidEnd = 0;

  /** False, and nothing is known, for a document that has not, to the last byte, the form in which Ditto writes them. */
  find(bytes: Buffer): boolean {
    try {
      return this.#find(bytes);
    } catch (error) {
      // a length that leads out of the document
      if (error instanceof RangeError) return false;
      throw error;
    }
  }

  /** `{_id, row, v, ts, gtid}` or `{_id, v, gtid, deletedAt}`. */
  #find(bytes: Buffer): boolean {
    const idType = bytes[LENGTH_BYTES];
    if (idType === undefined || !hasAt(bytes, LENGTH_BYTES + 1, ID_NAME)) return false;
    let at = LENGTH_BYTES + 1 + ID_NAME.length;
    at += measureValue(bytes, idType, at);
    const idEnd = at;
    const isRow = hasAt(bytes, at, ROW);
    const rowStart = isRow ? at + ROW.length : 0;
    if (isRow) at += ROW.length + measureValue(bytes, BsonType.document, rowStart);
    const rowEnd = at;
    if (!hasAt(bytes, at, VERSION)) return false;
    const versionStart = at + VERSION.length + LENGTH_BYTES;
    at += VERSION.length;
    if (measureValue(bytes, BsonType.string, at) !== LENGTH_BYTES + VERSION_DIGITS + 1) return false;
    at = versionStart + VERSION_DIGITS;
    if (!isVersion(bytes, versionStart) || bytes[at++] !== 0) return false;
    if (isRow) {
      if (!hasAt(bytes, at, TIME)) return false;
      at += TIME.length + DATE_BYTES;
    }
    let gtidStart = 0;
    if (hasAt(bytes, at, GTID)) {
      gtidStart = at + GTID.length + LENGTH_BYTES;
      at += GTID.length + measureValue(bytes, BsonType.string, at + GTID.length);
      if (bytes[at - 1] !== 0) return false;
    } else if (hasAt(bytes, at, NO_GTID)) at += NO_GTID.length;
    else return false;
    const gtidEnd = at - 1;
    if (!isRow) {
      if (!hasAt(bytes, at, DELETED_AT)) return false;
      at += DELETED_AT.length + DATE_BYTES;
    }
    if (at !== bytes.length - 1 || bytes[at] !== 0) return false;
    this.idEnd = idEnd;
    this.rowStart = rowStart;
    this.rowEnd = rowEnd;
    this.versionStart = versionStart;
    this.gtidStart = gtidStart;
    this.gtidEnd = gtidEnd;
    return true;
  }
}

function hasAt(bytes: Buffer, at: number, label: Uint8Array): boolean {
  for (let i = 0; i < label.length; i++) if (bytes[at + i] !== label[i]) return false;
  return true;
}

function isVersion(bytes: Buffer, start: number): boolean {
  for (let at = start; at < start + VERSION_DIGITS; at++) {
    const code = bytes[at] as number;
    const isDigit = code >= 0x30 && code <= 0x39;
    if (!isDigit && !(code >= 0x61 && code <= 0x66)) return false;
  }
  return true;
}
