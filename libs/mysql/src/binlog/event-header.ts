/** Event type codes that this reader distinguishes (MySQL source, `libs/mysql/binlog/event/binlog_event.h`). */
export const EventType = {
  query: 2,
  stop: 3,
  rotate: 4,
  intvar: 5,
  appendBlock: 9,
  deleteFile: 11,
  rand: 13,
  userVar: 14,
  formatDescription: 15,
  xid: 16,
  beginLoadQuery: 17,
  executeLoadQuery: 18,
  tableMap: 19,
  writeRowsV1: 23,
  updateRowsV1: 24,
  deleteRowsV1: 25,
  incident: 26,
  heartbeat: 27,
  rowsQuery: 29,
  writeRows: 30,
  updateRows: 31,
  deleteRows: 32,
  gtid: 33,
  anonymousGtid: 34,
  previousGtids: 35,
  transactionContext: 36,
  viewChange: 37,
  xaPrepare: 38,
  partialUpdateRows: 39,
  transactionPayload: 40,
  heartbeatV2: 41,
  gtidTagged: 42,
  // MariaDB's own (MariaDB source, `sql/log_event.h`, Log_event_type)
  annotateRows: 160,
  binlogCheckpoint: 161,
  mariaDbGtid: 162,
  gtidList: 163,
  queryCompressed: 165,
  writeRowsCompressedV1: 166,
  updateRowsCompressedV1: 167,
  deleteRowsCompressedV1: 168,
  writeRowsCompressed: 169,
  updateRowsCompressed: 170,
  deleteRowsCompressed: 171,
} as const;

/**
 * Events that change no row by themselves: about files and groups, the text of a statement whose rows follow, and what
 * a statement event needs that follows them and is judged there.
 */
export const SILENT_EVENTS: ReadonlySet<number> = new Set([
  EventType.stop,
  EventType.formatDescription,
  EventType.previousGtids,
  EventType.heartbeat,
  EventType.rowsQuery,
  EventType.transactionContext,
  EventType.viewChange,
  EventType.intvar,
  EventType.rand,
  EventType.userVar,
  EventType.beginLoadQuery,
  EventType.appendBlock,
  EventType.deleteFile,
  EventType.annotateRows,
  EventType.binlogCheckpoint,
  EventType.gtidList,
]);

/** Events that hold the rows of a table, plain or compressed. */
export const ROWS_EVENTS: ReadonlySet<number> = new Set([
  EventType.writeRowsV1,
  EventType.updateRowsV1,
  EventType.deleteRowsV1,
  EventType.writeRows,
  EventType.updateRows,
  EventType.deleteRows,
  EventType.partialUpdateRows,
  EventType.writeRowsCompressedV1,
  EventType.updateRowsCompressedV1,
  EventType.deleteRowsCompressedV1,
  EventType.writeRowsCompressed,
  EventType.updateRowsCompressed,
  EventType.deleteRowsCompressed,
]);

/** Bytes of the common header of every event. */
export const HEADER_BYTES = 19;

/** Header flag of events that the server makes up for the dump and that are in no file. */
export const FLAG_ARTIFICIAL = 0x20;

/** Header flag of events that a reader may pass over without knowing them (LOG_EVENT_IGNORABLE_F). */
export const FLAG_IGNORABLE = 0x80;

/**
 * One event in the bytes of its packet. `start` is the first byte of the header, `body` the first after it,
 * `end` just after the body, the checksum left out.
 */
export interface EventBytes {
  readonly bytes: Buffer;
  readonly start: number;
  readonly body: number;
  readonly end: number;
}

/** Length-encoded integer at `at`; `lengthEncodedSize` gives its own size. */
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
