/** Event type codes that this reader tells apart (MySQL source, `libs/mysql/binlog/event/binlog_event.h`). */
export const EventType = {
  query: 2,
  stop: 3,
  rotate: 4,
  formatDescription: 15,
  xid: 16,
  executeLoadQuery: 18,
  tableMap: 19,
  writeRowsV1: 23,
  updateRowsV1: 24,
  deleteRowsV1: 25,
  incident: 26,
  heartbeat: 27,
  writeRows: 30,
  updateRows: 31,
  deleteRows: 32,
  gtid: 33,
  anonymousGtid: 34,
  previousGtids: 35,
  xaPrepare: 38,
  partialUpdateRows: 39,
  transactionPayload: 40,
  heartbeatV2: 41,
  gtidTagged: 42,
} as const;

/** Bytes of the common header of every event. */
export const HEADER_BYTES = 19;

/** Header flag of events that the server makes up for the dump and that stand in no file. */
export const FLAG_ARTIFICIAL = 0x20;

/**
 * One event in the bytes of its packet. `start` is the first byte of the header, `body` the first behind it,
 * `end` just behind the body, the checksum left out.
 */
export interface EventBytes {
  readonly bytes: Buffer;
  readonly start: number;
  readonly body: number;
  readonly end: number;
}

/** Length-encoded integer at `at`; its own size is told by `lengthEncodedSize`. */
export function readLengthEncoded(bytes: Buffer, at: number): number {
  const first = bytes.readUInt8(at);
  if (first < 251) return first;
  if (first === 252) return bytes.readUInt16LE(at + 1);
  if (first === 253) return bytes.readUIntLE(at + 1, 3);
  return Number(bytes.readBigUInt64LE(at + 1));
}

export function lengthEncodedSize(bytes: Buffer, at: number): number {
  const first = bytes.readUInt8(at);
  if (first < 251) return 1;
  if (first === 252) return 3;
  if (first === 253) return 4;
  return 9;
}
