import { compressionsAlgorithms, crc32c } from '@platformatic/kafka';

import { type KafkaCompression, type KafkaRecord } from './kafka-client.ts';

// Record batch format 2: https://kafka.apache.org/documentation/#recordbatch
const headBytes = 61;
const crcOffset = 17;
const attributesOffset = 21;
const lengthCountsFrom = 12;

export interface RecordBatchOptions {
  readonly producerId: bigint;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly compression: KafkaCompression;
  readonly timestampMs: number;
}

/** Bytes of a zigzag varint of a number that is not negative. */
function varintBytes(value: number): number {
  if (value < 0x40) return 1;
  if (value < 0x2000) return 2;
  if (value < 0x100000) return 3;
  return value < 0x8000000 ? 4 : 5;
}

function writeVarint(target: Buffer, position: number, value: number): number {
  let rest = value * 2;
  while (rest > 0x7f) {
    target[position++] = (rest & 0x7f) | 0x80;
    rest = Math.floor(rest / 128);
  }
  target[position++] = rest;
  return position;
}

const nullLength = 1; // zigzag of -1

function contentBytes(content: Buffer | string | null): number {
  if (content === null) return -1;
  return typeof content === 'string' ? Buffer.byteLength(content) : content.length;
}

function fieldBytes(length: number): number {
  return length < 0 ? 1 : varintBytes(length) + length;
}

function writeField(target: Buffer, position: number, content: Buffer | string | null, length: number): number {
  if (content === null) {
    target[position] = nullLength;
    return position + 1;
  }
  const start = writeVarint(target, position, length);
  if (typeof content === 'string') target.write(content, start, length, 'utf8');
  else content.copy(target, start);
  return start + length;
}

const headerNames = new Map<string, Buffer>();

/** The names are few and repeat with every message. */
function encodedHeaderName(name: string): Buffer {
  let encoded = headerNames.get(name);
  if (encoded === undefined) headerNames.set(name, (encoded = Buffer.from(name)));
  return encoded;
}

function headersBytes(headers: Readonly<Record<string, string>>): number {
  let bytes = 0;
  let count = 0;
  for (const name in headers) {
    count++;
    bytes += fieldBytes(encodedHeaderName(name).length) + fieldBytes(Buffer.byteLength(headers[name] as string));
  }
  return bytes + varintBytes(count);
}

function writeHeaders(target: Buffer, position: number, headers: Readonly<Record<string, string>>): number {
  let count = 0;
  for (const name in headers) if (headers[name] !== undefined) count++;
  let end = writeVarint(target, position, count);
  for (const name in headers) {
    const encoded = encodedHeaderName(name);
    const value = headers[name] as string;
    end = writeField(target, end, encoded, encoded.length);
    end = writeField(target, end, value, Buffer.byteLength(value));
  }
  return end;
}

let lengths = new Int32Array(3 * 4096);

/** Lays out key, value and body length of each record in `lengths`; gives the bytes of all records. */
function measure(records: readonly KafkaRecord[]): number {
  if (lengths.length < records.length * 3) lengths = new Int32Array(records.length * 3);
  let total = 0;
  for (let index = 0; index < records.length; index++) {
    const record = records[index] as KafkaRecord;
    const key = contentBytes(record.key);
    const value = contentBytes(record.value);
    const body = 2 + varintBytes(index) + fieldBytes(key) + fieldBytes(value) + headersBytes(record.headers);
    lengths[index * 3] = key;
    lengths[index * 3 + 1] = value;
    lengths[index * 3 + 2] = body;
    total += varintBytes(body) + body;
  }
  return total;
}

function writeRecords(target: Buffer, start: number, records: readonly KafkaRecord[]): void {
  let position = start;
  for (let index = 0; index < records.length; index++) {
    const record = records[index] as KafkaRecord;
    position = writeVarint(target, position, lengths[index * 3 + 2] as number);
    target[position++] = 0; // attributes
    target[position++] = 0; // timestamp delta: one time for the batch
    position = writeVarint(target, position, index);
    position = writeField(target, position, record.key, lengths[index * 3] as number);
    position = writeField(target, position, record.value, lengths[index * 3 + 1] as number);
    position = writeHeaders(target, position, record.headers);
  }
}

/** Below this, compression costs more than it saves; each batch says for itself whether it is compressed. */
const minCompressedBytes = 1_024;

function compress(batch: Buffer, compression: KafkaCompression): Buffer {
  const algorithm = compressionsAlgorithms[compression];
  const packed = algorithm.compressSync(batch.subarray(headBytes));
  const result = Buffer.allocUnsafeSlow(headBytes + packed.length);
  packed.copy(result, headBytes);
  return result;
}

/**
 * Encodes records for one partition into one buffer, ready to be sent and to be sent again as it is.
 * The bytes are a function of the arguments only; nothing in the records is kept.
 */
export function encodeRecordBatch(records: readonly KafkaRecord[], options: RecordBatchOptions): Buffer {
  const plain = Buffer.allocUnsafeSlow(headBytes + measure(records));
  writeRecords(plain, headBytes, records);
  const compression = plain.length < minCompressedBytes ? 'none' : options.compression;
  const batch = compression === 'none' ? plain : compress(plain, compression);
  batch.writeBigInt64BE(0n, 0); // base offset: the broker's to give
  batch.writeInt32BE(batch.length - lengthCountsFrom, 8);
  batch.writeInt32BE(-1, 12); // partition leader epoch: the broker's too
  batch.writeInt8(2, 16); // format
  batch.writeInt16BE(compressionsAlgorithms[compression].bitmask, attributesOffset);
  batch.writeInt32BE(records.length - 1, 23);
  batch.writeBigInt64BE(BigInt(options.timestampMs), 27);
  batch.writeBigInt64BE(BigInt(options.timestampMs), 35);
  batch.writeBigInt64BE(options.producerId, 43);
  batch.writeInt16BE(options.producerEpoch, 51);
  batch.writeInt32BE(options.baseSequence, 53);
  batch.writeInt32BE(records.length, 57);
  batch.writeUInt32BE(crc32c(batch.subarray(attributesOffset)), crcOffset);
  return batch;
}
