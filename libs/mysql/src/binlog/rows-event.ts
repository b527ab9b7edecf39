import { type Row, type RowImages, ValueImages } from '#change-events';
import { DittoError } from '#kernel';
import { UndecodableTextError } from '../values/charset.ts';
import { EventType, lengthEncodedSize, readLengthEncoded, type EventBytes } from './event-header.ts';
import { type TableReader } from './table-cache.ts';

export type RowsOperation = 'create' | 'update' | 'delete';

export interface DecodedRows {
  readonly op: RowsOperation;
  readonly before: RowImages | null;
  readonly after: RowImages | null;
}

export function rowsOperation(type: number): RowsOperation {
  if (type === EventType.writeRows || type === EventType.writeRowsV1) return 'create';
  if (type === EventType.updateRows || type === EventType.updateRowsV1) return 'update';
  return 'delete';
}

/** Where a rows event's parts lie: table id 6, flags 2, extra data (version 2), column count, bitmaps, images. */
interface RowsFrame {
  readonly columnCount: number;
  /** One bitmap of present columns, two for an update. */
  readonly presents: readonly Buffer[];
  readonly images: number;
}

function frame(type: number, event: EventBytes): RowsFrame {
  const { bytes } = event;
  let at = event.body + 8;
  if (type >= EventType.writeRows) at += bytes.readUInt16LE(at);
  const columnCount = readLengthEncoded(bytes, at);
  at += lengthEncodedSize(bytes, at);
  const size = (columnCount + 7) >> 3;
  const presents = [bytes.subarray(at, at + size)];
  at += size;
  if (rowsOperation(type) === 'update') {
    presents.push(bytes.subarray(at, at + size));
    at += size;
  }
  return { columnCount, presents, images: at };
}

/** Number of row images in the event of a table that is not included. */
export function countImages(type: number, event: EventBytes, reader: TableReader & { included: false }): number {
  const { presents, images } = frame(type, event);
  const count = reader.skipper.countImages(event.bytes, images, event.end, presents);
  return rowsOperation(type) === 'update' ? Math.ceil(count / 2) : count;
}

function isFull(present: Buffer, columnCount: number): boolean {
  for (let i = 0; i < present.length; i++) {
    const bits = Math.min(8, columnCount - i * 8);
    const mask = (1 << bits) - 1;
    if (((present[i] ?? 0) & mask) !== mask) return false;
  }
  return true;
}

/** Decodes all rows of an event of an included table. Throws a coded error for minimal images and undecodable values. */
export function decodeRows(type: number, event: EventBytes, reader: TableReader & { included: true }): DecodedRows {
  const { layout } = reader;
  const { columnCount, presents, images } = frame(type, event);
  if (columnCount !== layout.columns.length) {
    throw malformed(
      layout.database,
      layout.table,
      `${columnCount} columns in the rows, ${layout.columns.length} in the map`,
    );
  }
  if (!presents.every((present) => isFull(present, columnCount))) throw minimalImage(layout.database, layout.table);
  const op = rowsOperation(type);
  try {
    const decoded = decodeImages(op, event, images, reader);
    if (decoded !== null) return decoded;
  } catch (error) {
    throw undecodable(layout.database, layout.table, error);
  }
  throw malformed(layout.database, layout.table, 'its rows do not end where the event ends');
}

function decodeImages(
  op: RowsOperation,
  event: EventBytes,
  images: number,
  { decode, layout }: TableReader & { included: true },
): DecodedRows | null {
  const { bytes, end } = event;
  const cursor = { at: images };
  const before: Row[] = [];
  const after: Row[] = [];
  while (cursor.at < end) {
    if (op !== 'create') before.push(decode(bytes, cursor));
    if (op !== 'delete') after.push(decode(bytes, cursor));
  }
  if (cursor.at !== end) return null;
  return {
    op,
    before: op === 'create' ? null : new ValueImages(layout, before),
    after: op === 'delete' ? null : new ValueImages(layout, after),
  };
}

function minimalImage(database: string, table: string): DittoError {
  return new DittoError('DITTO_SOURCE_ROW_IMAGE', `the log holds incomplete row images of ${database}.${table}`, {
    remedy:
      'SET PERSIST binlog_row_image = FULL; end the sessions that set it otherwise, then resync the source (npm run ditto -- resync --source <name>).',
    context: { database, table },
  });
}

function undecodable(database: string, table: string, cause: unknown): DittoError {
  const detail = cause instanceof Error ? cause.message : String(cause);
  const code = cause instanceof UndecodableTextError ? 'DITTO_SOURCE_TEXT_INVALID' : 'DITTO_SOURCE_ROW_UNDECODABLE';
  return new DittoError(code, `a row of ${database}.${table} can't be decoded: ${detail}`, {
    remedy:
      'Exclude the table, or mend the value on the source; then resync the source (npm run ditto -- resync --source <name>).',
    context: { database, table },
    cause,
  });
}

function malformed(database: string, table: string, detail: string): DittoError {
  return new DittoError(
    'DITTO_SOURCE_EVENT_MALFORMED',
    `a rows event of ${database}.${table} is malformed: ${detail}`,
    {
      remedy: 'Check the log on the server with mysqlbinlog --verify-binlog-checksum.',
      context: { database, table },
    },
  );
}
