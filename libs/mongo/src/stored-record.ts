import { BsonType, type BsonWriter, makeLabel } from './bson-writer.ts';
import { readElements } from './bson-reader.ts';

/** What pages read of a document of the mirror. */
export interface StoredRecord {
  /** The document as it came, of the fields that were asked for. */
  readonly bytes: Uint8Array;
  /** Type and value of `_id`, byte for byte: the order of an embedded document's fields is part of it. */
  readonly idType: number;
  readonly id: Uint8Array;
  readonly version: string;
  readonly gtid: string | null;
  readonly deletedAtMs: number | null;
}

export function readRecord(bytes: Uint8Array): StoredRecord {
  const record: Writable<StoredRecord> = { bytes, idType: 0, id: EMPTY, version: '', gtid: null, deletedAtMs: null };
  for (const { type, name, start, end } of readElements(bytes)) {
    if (name === '_id') {
      record.idType = type;
      record.id = bytes.subarray(start, end);
    } else if (name === 'v' && type === BsonType.string) record.version = textOf(bytes, start, end);
    else if (name === 'gtid' && type === BsonType.string) record.gtid = textOf(bytes, start, end);
    else if (name === 'deletedAt' && type === BsonType.date) record.deletedAtMs = dateOf(bytes, start);
  }
  return record;
}

/** Appends `_id: {$in: […]}`, each value as it is stored. */
export function writeIdFilter(writer: BsonWriter, records: readonly StoredRecord[]): void {
  const filter = writer.beginIn(ID);
  const list = writer.beginIn(ONE_OF);
  for (const [index, { idType, id }] of records.entries()) {
    writer.raw(makeLabel(idType, String(index)));
    writer.raw(id);
  }
  writer.end(list);
  writer.end(filter);
}

type Writable<T> = { -readonly [Name in keyof T]: T[Name] };

const EMPTY = new Uint8Array(0);
const ID = makeLabel(BsonType.document, '_id');
const ONE_OF = makeLabel(BsonType.array, '$in');
const LENGTH_BYTES = 4;

function textOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8', start + LENGTH_BYTES, end - 1);
}

function dateOf(bytes: Uint8Array, start: number): number {
  return Number(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).readBigInt64LE(start));
}
