import {
  type Row,
  type RowChange,
  type TableChange,
  type TableLayout,
  type TextRows,
  VALUE_TYPE,
} from '#change-events';
import { BsonType, type BsonWriter, makeLabel } from './bson-writer.ts';
import { compileRowWriter, type RowWriter } from './row-writer.ts';
import { compileTextRowWriter, type TextRowWriter } from './text-row-writer.ts';

/** A document of the mirror: with `row` while the row lives, with `deletedAt` (a tombstone) after that. */
export interface MirrorDocument {
  readonly _id: unknown;
  readonly row?: unknown;
  /** Version of the last change, 44 hexadecimal digits. */
  readonly v: string;
  /** Commit time of the last change. */
  readonly ts?: Date;
  readonly gtid: string | null;
  /** When the tombstone was made, by Ditto's clock. */
  readonly deletedAt?: Date;
}

/** Equal, as keys of a Map are, exactly when the canonical keys are equal. */
export type KeyIdentity = string | number | bigint;

/** A document of the mirror as it goes to the server. */
export interface EncodedDocument {
  readonly bytes: Uint8Array;
  /** Its `_id` is between the length and here. */
  readonly idEnd: number;
  readonly version: string;
}

const ROW = makeLabel(BsonType.document, 'row');
const VERSION = makeLabel(BsonType.string, 'v');
const TIME = makeLabel(BsonType.date, 'ts');
const GTID = makeLabel(BsonType.string, 'gtid');
const DELETED_AT = makeLabel(BsonType.date, 'deletedAt');

/** Makes the documents of one table as one layout describes it; compiled once per layout. */
export class DocumentEncoder {
  /** A table without a key has no documents; only `rowBytes` may be called. */
  readonly isKeyed: boolean;
  /** Key of `row` for grouping and choosing a lane. */
  readonly identity: (row: Row) => KeyIdentity;
  /** Rough size in memory; an estimate for bounds, not a promise. */
  readonly rowBytes: (row: Row) => number;
  readonly #writeId: RowWriter;
  readonly #writeRow: RowWriter;

  constructor(layout: TableLayout) {
    this.isKeyed = layout.key.length > 0;
    this.identity = compileIdentity(layout);
    this.rowBytes = compileRowBytes(layout);
    this.#writeId = compileId(layout);
    this.#writeRow = compileRowWriter(layout, [...layout.columns.keys()], ({ name }) => name);
  }

  /** Appends the element `_id` of a row. */
  id(writer: BsonWriter, row: Row): void {
    this.#writeId(writer, row);
  }

  /** Appends the document of a row. */
  upsert(writer: BsonWriter, row: Row, change: RowChange, version: string): EncodedDocument {
    const { commitMicros, gtid } = change.transaction;
    const start = writer.begin();
    this.#writeId(writer, row);
    const idEnd = writer.at;
    const embedded = writer.beginIn(ROW);
    this.#writeRow(writer, row);
    writer.end(embedded);
    writer.string(VERSION, version);
    writer.date(TIME, Math.floor(commitMicros / 1000));
    writeGtid(writer, gtid);
    writer.end(start);
    return { bytes: writer.bytes.subarray(start, writer.at), idEnd: idEnd - start, version };
  }

  /** Appends the tombstone that takes the place of a row's document. */
  tombstone(writer: BsonWriter, row: Row, change: RowChange, version: string, nowMs: number): EncodedDocument {
    const start = writer.begin();
    this.#writeId(writer, row);
    const idEnd = writer.at;
    writer.string(VERSION, version);
    writeGtid(writer, change.transaction.gtid);
    writer.date(DELETED_AT, nowMs);
    writer.end(start);
    return { bytes: writer.bytes.subarray(start, writer.at), idEnd: idEnd - start, version };
  }
}

function writeGtid(writer: BsonWriter, gtid: string | null): void {
  if (gtid === null) writer.null(GTID);
  else writer.string(GTID, gtid);
}

/** The parts of a tombstone except its `_id`. */
export function tombstoneFields(
  change: RowChange | TableChange,
  version: string,
  nowMs: number,
): Omit<MirrorDocument, '_id'> {
  return { v: version, gtid: change.transaction.gtid, deletedAt: new Date(nowMs) };
}

/** MongoDB refuses names that begin with `$` inside `_id`; they are escaped there as topics escape characters. */
export function idFieldName(name: string): string {
  return name.startsWith('$') ? `_x0024${name.slice(1)}` : name;
}

/** The bare value of a single key column, else an embedded document in key order. */
function compileId(layout: TableLayout): RowWriter {
  const { key } = layout;
  if (key.length === 0) return () => undefined;
  if (key.length === 1) return compileRowWriter(layout, key, () => '_id');
  const label = makeLabel(BsonType.document, '_id');
  const writeParts = compileRowWriter(layout, key, ({ name }) => idFieldName(name));
  return (writer, row) => {
    const start = writer.beginIn(label);
    writeParts(writer, row);
    writer.end(start);
  };
}

/** The same for rows as texts. */
export function compileTextId(layout: TableLayout, columns: TextRows['columns']): TextRowWriter {
  const { key } = layout;
  if (key.length === 1) return compileTextRowWriter(layout, columns, key, () => '_id');
  const label = makeLabel(BsonType.document, '_id');
  const writeParts = compileTextRowWriter(layout, columns, key, ({ name }) => idFieldName(name));
  return (writer, rows, index) => {
    const start = writer.beginIn(label);
    writeParts(writer, rows, index);
    writer.end(start);
  };
}

function compileIdentity({ key }: TableLayout): (row: Row) => KeyIdentity {
  const [first, ...others] = key;
  if (first === undefined) return () => '';
  if (others.length === 0) {
    return (row) => {
      const value = row[first];
      return typeof value === 'number' || typeof value === 'string' || typeof value === 'bigint'
        ? value
        : partText(value);
    };
  }
  return (row) => {
    let text = '';
    for (const index of key) {
      const part = partText(row[index]);
      text += `${part.length}:${part}`;
    }
    return text;
  };
}

function partText(value: unknown): string {
  return Buffer.isBuffer(value) ? value.toString('latin1') : String(value);
}

/** What a buffer takes in addition to its content. */
const BUFFER_BYTES = 256;
/** Longer texts are measured: with letters that are not ASCII they take more, as text and as BSON. */
const MEASURED_LENGTH = 1024;

function compileRowBytes({ columns }: TableLayout): (row: Row) => number {
  const fixed = 64 + 16 * columns.length;
  const variable = columns.flatMap(({ kind }, index) => {
    const type = VALUE_TYPE[kind];
    return type === 'string' || type === 'bytes' ? [index] : [];
  });
  return (row) => {
    let bytes = fixed;
    for (const index of variable) {
      const value = row[index];
      if (typeof value === 'string')
        bytes += (value.length > MEASURED_LENGTH ? Buffer.byteLength(value) : value.length) + 16;
      else if (Buffer.isBuffer(value)) bytes += value.length + BUFFER_BYTES;
    }
    return bytes;
  };
}
