import { type EventBytes } from './event-header.ts';
import { type GtidEvent } from './gtid-event.ts';

/** MariaDB's GTID_EVENT: `domain-server-sequence`. It gives no commit time except the header's, in seconds. */
export interface MariaDbGtidEvent extends GtidEvent {
  readonly gtid: string;
  /** The event is a BEGIN too; else the next statement is the whole transaction. */
  readonly begins: boolean;
  /** XA transaction that this one prepares: `x'gtrid',x'bqual',format`. There is no XA START in the log. */
  readonly preparedXa: string | null;
}

const FLAG_STANDALONE = 0x01;
const FLAG_GROUP_COMMIT = 0x02;
const FLAG_PREPARED_XA = 0x40;
const FIXED_BYTES = 13;
const COMMIT_ID_BYTES = 8;
/** Format 4, lengths 1 and 1. */
const XID_HEAD_BYTES = 6;

/**
 * Sequence number 8, domain 4, flags 1; the id of a group commit 8 and an XA transaction when the flags announce them.
 * The server id is in the header (MariaDB source, `sql/log_event.h`, Gtid_log_event).
 */
export function parseMariaDbGtidEvent({ bytes, start, body, end }: EventBytes): MariaDbGtidEvent {
  if (body + FIXED_BYTES > end) throw new RangeError('a GTID event is cut off');
  const sequence = bytes.readUInt32LE(body + 4) === 0 ? bytes.readUInt32LE(body) : bytes.readBigUInt64LE(body);
  const flags = bytes.readUInt8(body + 12);
  return {
    gtid: `${bytes.readUInt32LE(body + 8)}-${bytes.readUInt32LE(start + 5)}-${sequence}`,
    commitMicros: 0,
    begins: (flags & FLAG_STANDALONE) === 0,
    preparedXa: (flags & FLAG_PREPARED_XA) === 0 ? null : readXid(bytes, xidStart(body, flags), end),
  };
}

function xidStart(body: number, flags: number): number {
  return body + FIXED_BYTES + ((flags & FLAG_GROUP_COMMIT) === 0 ? 0 : COMMIT_ID_BYTES);
}

/** As `XA COMMIT` names it in the log, in lower case. */
function readXid(bytes: Buffer, at: number, end: number): string {
  if (at + XID_HEAD_BYTES > end) throw new RangeError('a GTID event is cut off');
  const gtrid = at + XID_HEAD_BYTES;
  const bqual = gtrid + bytes.readUInt8(at + 4);
  const behind = bqual + bytes.readUInt8(at + 5);
  if (behind > end) throw new RangeError('a GTID event is cut off');
  const hex = (from: number, to: number): string => `x'${bytes.toString('hex', from, to)}'`;
  return `${hex(gtrid, bqual)},${hex(bqual, behind)},${bytes.readUInt32LE(at)}`;
}
