import { type Row } from '#change-events';
import { type Difference, type StoredRow } from '#verification';
import { createHash } from 'node:crypto';
import { measureValue, readElements, readString } from './bson-reader.ts';
import { BsonType, makeLabel } from './bson-writer.ts';
import { type RowComparison } from './row-comparison.ts';

const ID_NAME = Buffer.from('_id\u0000');
const ROW = makeLabel(BsonType.document, 'row');
const VERSION = makeLabel(BsonType.string, 'v');
const TIME = makeLabel(BsonType.date, 'ts');
const GTID = makeLabel(BsonType.string, 'gtid');
const NO_GTID = makeLabel(BsonType.null, 'gtid');
const DELETED_AT = makeLabel(BsonType.date, 'deletedAt');
const LENGTH_BYTES = 4;
const DATE_BYTES = 8;
const VERSION_DIGITS = 44;

/** What a document has beside its `_id`; the names are those of the fields. */
const FIELDS: ReadonlyMap<string, readonly number[]> = new Map([
  ['_id', []],
  ['row', [BsonType.document]],
  ['v', [BsonType.string]],
  ['ts', [BsonType.date]],
  ['gtid', [BsonType.string, BsonType.null]],
  ['deletedAt', [BsonType.date]],
]);

/**
 * A document of the mirror as it came from the server. One that has the form in which Ditto writes documents is read by
 * the places of its parts; only another one is looked at field by field.
 */
export class StoredDocument implements StoredRow {
  readonly bytes: Buffer;
  readonly #comparison: RowComparison;
  #damage: string | null = null;
  /** Places of the values; 0 for what is not there. */
  #rowStart = 0;
  #rowEnd = 0;
  #versionStart = 0;
  #gtidStart = 0;
  #gtidEnd = 0;
  #isTombstone = false;

  /** `isForeign`: its `_id` equals that of a key to MongoDB, and is not what Ditto writes. */
  constructor(bytes: Buffer, comparison: RowComparison, isForeign = false) {
    this.bytes = bytes;
    this.#comparison = comparison;
    if (!this.#isUsual()) this.#damage = this.#readFields();
    if (isForeign) this.#damage ??= 'its _id is not of the form of a key';
  }

  get version(): string | null {
    const start = this.#versionStart;
    return start === 0 ? null : this.bytes.toString('latin1', start, start + VERSION_DIGITS);
  }

  get gtid(): string | null {
    return this.#gtidStart === 0 ? null : this.bytes.toString('utf8', this.#gtidStart, this.#gtidEnd);
  }

  get isDeleted(): boolean {
    return this.#isTombstone;
  }

  get damage(): string | null {
    return this.#damage;
  }

  get fingerprint(): string {
    return fingerprintOf(this.bytes);
  }

  compare(row: Row): readonly Difference[] | null {
    return this.#rowStart === 0 ? null : this.#comparison.compare(row, this.bytes, this.#rowStart, this.#rowEnd);
  }

  #isUsual(): boolean {
    try {
      return this.#hasUsualForm();
    } catch (error) {
      // a length that leads out of the document
      if (error instanceof RangeError) return false;
      throw error;
    }
  }

  /** `{_id, row, v, ts, gtid}` or `{_id, v, gtid, deletedAt}`, to the last byte. */
  #hasUsualForm(): boolean {
    const { bytes } = this;
    const idType = bytes[LENGTH_BYTES];
    if (idType === undefined || !hasAt(bytes, LENGTH_BYTES + 1, ID_NAME)) return false;
    let at = LENGTH_BYTES + 1 + ID_NAME.length;
    at += measureValue(bytes, idType, at);
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
    this.#rowStart = rowStart;
    this.#rowEnd = rowEnd;
    this.#versionStart = versionStart;
    this.#gtidStart = gtidStart;
    this.#gtidEnd = gtidEnd;
    this.#isTombstone = !isRow;
    return true;
  }

  /** Takes what can be used, and says the first thing that Ditto never wrote. */
  #readFields(): string | null {
    const seen = new Set<string>();
    const problems: string[] = [];
    try {
      for (const { type, name, start, end } of readElements(this.bytes)) {
        const types = FIELDS.get(name);
        if (types === undefined) problems.push(`it has a field ${JSON.stringify(name.slice(0, 100))}`);
        else if (seen.has(name)) problems.push(`it has ${name} twice`);
        else if (types.length > 0 && !types.includes(type)) problems.push(`its ${name} is of another type`);
        else if (type === BsonType.string && readString(this.bytes.subarray(start, end)) === undefined)
          problems.push(`its ${name} is not readable`);
        else this.#take(name, type, start, end);
        seen.add(name);
      }
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return 'it is not readable';
    }
    return problems[0] ?? this.#findContradiction(seen);
  }

  #take(name: string, type: number, start: number, end: number): void {
    if (name === 'row') {
      this.#rowStart = start;
      this.#rowEnd = end;
    } else if (name === 'deletedAt') this.#isTombstone = true;
    else if (name === 'gtid' && type === BsonType.string) {
      this.#gtidStart = start + LENGTH_BYTES;
      this.#gtidEnd = end - 1;
    } else if (name === 'v' && isVersionText(readString(this.bytes.subarray(start, end))))
      this.#versionStart = start + LENGTH_BYTES;
  }

  #findContradiction(seen: ReadonlySet<string>): string | null {
    if (this.#versionStart === 0) return 'its version is missing or malformed';
    if (seen.has('row') && seen.has('deletedAt')) return 'it has both row and deletedAt';
    if (!seen.has('row') && !seen.has('deletedAt')) return 'it has neither row nor deletedAt';
    if (!seen.has('gtid')) return 'it has no gtid';
    if (seen.has('row') !== seen.has('ts')) return seen.has('ts') ? 'it has both deletedAt and ts' : 'it has no ts';
    return null; // the usual fields in another order
  }
}

export function fingerprintOf(document: Uint8Array): string {
  return createHash('sha256').update(document).digest('hex');
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

function isVersionText(text: string | undefined): boolean {
  return text !== undefined && /^[0-9a-f]{44}$/.test(text);
}
