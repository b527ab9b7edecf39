import { crc32 } from 'node:zlib';
import { EventType } from '../src/binlog/event-header.ts';

export const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';

/** An event with its checksum, as it comes from a server. */
export function event(type: number, body: Buffer, endOffset: number, flags = 0): Buffer {
  const header = Buffer.alloc(19);
  header.writeUInt32LE(1_700_000_000, 0);
  header.writeUInt8(type, 4);
  header.writeUInt32LE(7, 5);
  header.writeUInt32LE(19 + body.length + 4, 9);
  header.writeUInt32LE(endOffset % 2 ** 32, 13);
  header.writeUInt16LE(flags, 17);
  const bytes = Buffer.concat([header, body]);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32LE(crc32(bytes), 0);
  return Buffer.concat([bytes, checksum]);
}

export function rotate(file: string, offset: number): Buffer {
  const body = Buffer.alloc(8);
  body.writeBigUInt64LE(BigInt(offset));
  return event(EventType.rotate, Buffer.concat([body, Buffer.from(file)]), 0);
}

export function gtid(number: number, endOffset: number, commitMicros = 1_700_000_000_123_456n): Buffer {
  const body = Buffer.alloc(49);
  Buffer.from(UUID.replaceAll('-', ''), 'hex').copy(body, 1);
  body.writeBigInt64LE(BigInt(number), 17);
  body.writeUInt8(2, 25);
  const micros = Buffer.alloc(8);
  micros.writeBigUInt64LE(commitMicros);
  micros.copy(body, 42, 0, 7);
  return event(EventType.gtid, body, endOffset);
}

export function anonymous(endOffset: number): Buffer {
  const body = Buffer.from(gtid(0, endOffset).subarray(19, -4));
  body.fill(0, 1, 17);
  return event(EventType.anonymousGtid, body, endOffset);
}

export function query(sql: string, endOffset: number, database = 'shop'): Buffer {
  const head = Buffer.alloc(13);
  head.writeUInt8(database.length, 8);
  return event(EventType.query, Buffer.concat([head, Buffer.from(`${database}\0${sql}`)]), endOffset);
}

/** A table of one TINYINT, with or without its name as FULL metadata gives it. */
export function tableMap(table: string, endOffset: number, isFull = true): Buffer {
  const name = Buffer.from(`\x04shop\0${String.fromCharCode(table.length)}${table}\0`);
  const columns = Buffer.from([1, 1, 0, 0]);
  const metadata = isFull ? Buffer.from([4, 3, 2, 0x69, 0x64, 8, 1, 0]) : Buffer.alloc(0);
  const id = Buffer.from([table.length, 0, 0, 0, 0, 0, 1, 0]);
  return event(EventType.tableMap, Buffer.concat([id, name, columns, metadata]), endOffset);
}

export function insert(table: string, value: number, endOffset: number): Buffer {
  return insertRows(table, [value], endOffset);
}

export function insertRows(table: string, values: readonly number[], endOffset: number): Buffer {
  return rowsEvent(EventType.writeRows, table, 1, values, endOffset);
}

export function updateRows(table: string, pairs: readonly (readonly [number, number])[], endOffset: number): Buffer {
  return rowsEvent(EventType.updateRows, table, 2, pairs.flat(), endOffset);
}

export function deleteRows(table: string, values: readonly number[], endOffset: number): Buffer {
  return rowsEvent(EventType.deleteRows, table, 1, values, endOffset);
}

/** `bitmaps` of the columns that are there; then each image: no NULL, and its value. */
function rowsEvent(type: number, table: string, bitmaps: number, values: readonly number[], endOffset: number): Buffer {
  const head = [table.length, 0, 0, 0, 0, 0, 1, 0, 2, 0, 1, ...Array<number>(bitmaps).fill(0xff)];
  return event(type, Buffer.from([...head, ...values.flatMap((value) => [0, value])]), endOffset);
}

/** As MySQL 9.7 writes it: version, server, header sizes; then the algorithm of checksums, 1 for CRC-32 and 0 for none. */
export function formatDescription(algorithm: number, version = 4, server = '9.7.4', headerBytes = 19): Buffer {
  const body = Buffer.concat([
    Buffer.of(version, 0),
    Buffer.from(server.padEnd(50, '\0')),
    Buffer.alloc(4),
    Buffer.of(headerBytes),
    Buffer.alloc(41, 8),
    Buffer.of(algorithm),
  ]);
  return event(EventType.formatDescription, body, 127);
}

/** An event as it is inside another: without a checksum. */
export function nested(bytes: Buffer): Buffer {
  const inner = Buffer.from(bytes.subarray(0, -4));
  inner.writeUInt32LE(inner.length, 9);
  return inner;
}
