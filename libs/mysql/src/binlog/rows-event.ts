import { type RowImages, type TableLayout } from '#change-events';
import { DittoError, RESYNC } from '#kernel';
import { type RowCodec } from '../codec/row-codec.ts';
import { EventType, lengthEncodedSize, readLengthEncoded, type EventBytes } from './event-header.ts';
import { LogImages } from './log-images.ts';
import { readPartialUpdates } from './partial-update.ts';
import { type LogPlace } from './stream-stops.ts';
import { type TableReader } from './table-cache.ts';

export type RowsOperation = 'create' | 'update' | 'delete';

export interface EventRows {
  readonly op: RowsOperation;
  readonly before: RowImages | null;
  readonly after: RowImages | null;
}

export function rowsOperation(type: number): RowsOperation {
  if (type === EventType.writeRows || type === EventType.writeRowsV1) return 'create';
  if (type === EventType.deleteRows || type === EventType.deleteRowsV1) return 'delete';
  return 'update';
}

/** Where a rows event's parts lie: table id 6, flags 2, extra data (version 2), column count, bitmaps, images. */
export interface RowsFrame {
  readonly columnCount: number;
  /** Bitmaps of present columns: one, two for an update. */
  readonly presents: number;
  readonly images: number;
}

export function frame(type: number, event: EventBytes): RowsFrame {
  const { bytes } = event;
  let at = event.body + 8;
  if (type >= EventType.writeRows) at += bytes.readUInt16LE(at);
  const columnCount = readLengthEncoded(bytes, at);
  at += lengthEncodedSize(bytes, at);
  const bitmaps = rowsOperation(type) === 'update' ? 2 : 1;
  const images = at + bitmaps * ((columnCount + 7) >> 3);
  if (images > event.end) throw new RangeError('a rows event is cut off');
  return { columnCount, presents: at, images };
}

/** Number of changed rows in the event of a table that is not included. */
export function countImages(type: number, event: EventBytes, reader: TableReader & { included: false }): number {
  const { columnCount, presents, images } = frame(type, event);
  const size = (columnCount + 7) >> 3;
  const bitmaps: Buffer[] = [];
  for (let at = presents; at < images; at += size) bitmaps.push(event.bytes.subarray(at, at + size));
  const isPartial = type === EventType.partialUpdateRows;
  const count = reader.skipper.countImages(event.bytes, images, event.end, bitmaps, isPartial);
  return rowsOperation(type) === 'update' ? Math.ceil(count / 2) : count;
}

/** Whether all bits of all bitmaps are set; those beyond the last column may be anything. */
function isFull(bytes: Buffer, { columnCount, presents, images }: RowsFrame): boolean {
  const size = (columnCount + 7) >> 3;
  const lastMask = 0xff >> (size * 8 - columnCount);
  for (let bitmap = presents; bitmap < images; bitmap += size) {
    const last = bitmap + size - 1;
    for (let at = bitmap; at < last; at++) if (bytes[at] !== 0xff) return false;
    if (((bytes[last] ?? 0) & lastMask) !== lastMask) return false;
  }
  return true;
}

/**
 * The rows of an event of an included table, as they lie in its bytes, which must stay as they are. Throws a coded
 * error for minimal images and for an event that its rows don't fill.
 */
export function readRows(
  type: number,
  event: EventBytes,
  reader: TableReader & { included: true },
  place: LogPlace,
): EventRows {
  const { layout, codec } = reader;
  const { bytes, end } = event;
  const parts = frame(type, event);
  const { columnCount } = parts;
  if (columnCount !== codec.places.length || columnCount === 0)
    throw malformed(layout, `${columnCount} columns in the rows, ${codec.places.length} in the map`);
  if (!isFull(bytes, parts)) throw minimalImage(layout);
  const op = rowsOperation(type);
  if (type === EventType.partialUpdateRows) return { op, ...readPartialUpdates(event, parts.images, reader) };
  const images = { bytes, offsets: findImages(event, parts.images, codec, layout), layout, codec, place };
  if (op !== 'update') {
    const all = new LogImages(images, 0, 1);
    return op === 'create' ? { op, before: null, after: all } : { op, before: all, after: null };
  }
  if (images.offsets.length % 2 === 0) throw malformed(layout, `it ends in the middle of a change at ${end}`);
  return { op, before: new LogImages(images, 0, 2), after: new LogImages(images, 1, 2) };
}

/** Starts of the images, and the end of the last. */
function findImages({ bytes, end }: EventBytes, first: number, codec: RowCodec, layout: TableLayout): number[] {
  const offsets = [first];
  const { skip } = codec;
  try {
    for (let at = first; at < end;) {
      at = skip(bytes, at, end);
      offsets.push(at);
    }
  } catch (error) {
    throw malformed(layout, error instanceof Error ? error.message : String(error));
  }
  return offsets;
}

function minimalImage({ database, table }: TableLayout): DittoError {
  return new DittoError('DITTO_SOURCE_ROW_IMAGE', `the log holds incomplete row images of ${database}.${table}`, {
    remedy: `SET PERSIST binlog_row_image = FULL; end the sessions that set it otherwise, then ${RESYNC}.`,
    context: { database, table },
  });
}

function malformed({ database, table }: TableLayout, detail: string): DittoError {
  return new DittoError(
    'DITTO_SOURCE_EVENT_MALFORMED',
    `a rows event of ${database}.${table} is malformed: ${detail}`,
    {
      remedy: 'Check the log on the server with mysqlbinlog --verify-binlog-checksum.',
      context: { database, table },
    },
  );
}
