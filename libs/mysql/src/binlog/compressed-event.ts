import { inflateSync } from 'node:zlib';
import { EventType, HEADER_BYTES, type EventBytes } from './event-header.ts';
import { frame } from './rows-event.ts';
import { findStatementText } from './statement-event.ts';

/** Of MariaDB's compressed events (`log_bin_compress=ON`) the kind that they are once inflated. */
const PLAIN: ReadonlyMap<number, number> = new Map([
  [EventType.queryCompressed, EventType.query],
  [EventType.writeRowsCompressedV1, EventType.writeRowsV1],
  [EventType.updateRowsCompressedV1, EventType.updateRowsV1],
  [EventType.deleteRowsCompressedV1, EventType.deleteRowsV1],
  [EventType.writeRowsCompressed, EventType.writeRows],
  [EventType.updateRowsCompressed, EventType.updateRows],
  [EventType.deleteRowsCompressed, EventType.deleteRows],
]);

/** In the header. */
const TYPE_AT = 4;

const COMPRESSED = 0x80;
const ALGORITHM = 0x70;
const LENGTH_BYTES = 0x07;
/** The server's own limit for a packet; no event is longer. */
const MOST_BYTES = 0x40000000;

/**
 * The plain event, in bytes of its own, that a compressed one contains; null for all others. Its head is as it was but
 * for the type; its text or row images are: one byte (compressed, algorithm: 0 is zlib, number of length bytes), their
 * length in up to four bytes, big-endian, then the compressed bytes (MariaDB source, `binlog_buf_uncompress` in
 * `sql/log_event.cc`).
 */
export function inflateEvent(type: number, event: EventBytes): { type: number; event: EventBytes } | null {
  const plain = PLAIN.get(type);
  if (plain === undefined) return null;
  const { bytes, start, end } = event;
  const at = plain === EventType.query ? findStatementText(event) : frame(plain, event).images;
  if (at >= end) throw new RangeError('a compressed event is cut off');
  const head = bytes[at] ?? 0;
  const lengthBytes = head & LENGTH_BYTES;
  if ((head & COMPRESSED) === 0 || (head & ALGORITHM) !== 0 || lengthBytes < 1 || lengthBytes > 4)
    throw new RangeError(`unknown compression 0x${head.toString(16)}`);
  if (at + 1 + lengthBytes > end) throw new RangeError('a compressed event is cut off');
  const length = bytes.readUIntBE(at + 1, lengthBytes);
  if (length > MOST_BYTES) throw new RangeError(`a compressed event of ${length} bytes`);
  // one byte more than expected would be an error, not memory
  const content = inflateSync(bytes.subarray(at + 1 + lengthBytes, end), { maxOutputLength: Math.max(length, 1) });
  if (content.length !== length) throw new RangeError(`a compressed event of ${content.length} bytes, not ${length}`);
  const inflated = Buffer.concat([bytes.subarray(start, at), content]);
  inflated.writeUInt8(plain, TYPE_AT);
  return { type: plain, event: { bytes: inflated, start: 0, body: HEADER_BYTES, end: inflated.length } };
}
