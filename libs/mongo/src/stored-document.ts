import { type Row } from '#change-events';
import { type Difference, type StoredRow } from '#verification';
import { createHash } from 'node:crypto';
import { readElements, readString } from './bson-reader.ts';
import { BsonType } from './bson-writer.ts';
import { DocumentParts, LENGTH_BYTES, VERSION_DIGITS } from './document-parts.ts';
import { type RowComparison } from './row-comparison.ts';

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
  readonly #parts = new DocumentParts();
  #isTombstone = false;

  /** `isForeign`: its `_id` equals that of a key to MongoDB, and is not what Ditto writes. */
  constructor(bytes: Buffer, comparison: RowComparison, isForeign = false) {
    this.bytes = bytes;
    this.#comparison = comparison;
    if (this.#parts.find(bytes)) this.#isTombstone = this.#parts.rowStart === 0;
    else this.#damage = this.#readFields();
    if (isForeign) this.#damage ??= 'its _id is not of the form of a key';
  }

  get version(): string | null {
    const start = this.#parts.versionStart;
    return start === 0 ? null : this.bytes.toString('latin1', start, start + VERSION_DIGITS);
  }

  get gtid(): string | null {
    return this.#parts.gtidStart === 0 ? null : this.bytes.toString('utf8', this.#parts.gtidStart, this.#parts.gtidEnd);
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
    return this.#parts.rowStart === 0
      ? null
      : this.#comparison.compare(row, this.bytes, this.#parts.rowStart, this.#parts.rowEnd);
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
      this.#parts.rowStart = start;
      this.#parts.rowEnd = end;
    } else if (name === 'deletedAt') this.#isTombstone = true;
    else if (name === 'gtid' && type === BsonType.string) {
      this.#parts.gtidStart = start + LENGTH_BYTES;
      this.#parts.gtidEnd = end - 1;
    } else if (name === 'v' && isVersionText(readString(this.bytes.subarray(start, end))))
      this.#parts.versionStart = start + LENGTH_BYTES;
  }

  #findContradiction(seen: ReadonlySet<string>): string | null {
    if (this.#parts.versionStart === 0) return 'its version is missing or malformed';
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

function isVersionText(text: string | undefined): boolean {
  return text !== undefined && /^[0-9a-f]{44}$/.test(text);
}
