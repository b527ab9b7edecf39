import { crc32c } from '@node-rs/crc32';
import { compressionsAlgorithms } from '@platformatic/kafka';
import { type Acknowledgement } from '#replication';

import { BufferPool } from './buffer-pool.ts';
import { type KafkaCompression, type KafkaRecord } from './kafka-client.ts';
import { readVarint, varintBytes, varintLength, writeVarint } from './varint.ts';

// Record batch format 2: https://kafka.apache.org/documentation/#recordbatch
const HEAD_BYTES = 61;
const CRC_OFFSET = 17;
const ATTRIBUTES_OFFSET = 21;
const LENGTH_COUNTS_FROM = 12;

/** Record length, attributes, timestamp delta, offset delta, key length and value length at their longest. */
const MOST_PRELUDE_BYTES = 5 + 1 + 1 + 5 + 5 + 5;

export interface BatchIdentity {
  readonly producerId: bigint;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly compression: KafkaCompression;
  readonly timestampMs: number;
}

/**
 * What a batch that is being delivered holds in addition to its buffers: mostly the promises of those who wait for its
 * answer.
 */
const BATCH_OBJECT_BYTES = 6 * 1024;

/** Several messages of one change; the last one to be confirmed confirms the change. */
export class SplitChange {
  readonly acknowledgement: Acknowledgement;
  #missing: number;

  constructor(acknowledgement: Acknowledgement, messages: number) {
    this.acknowledgement = acknowledgement;
    this.#missing = messages;
  }

  /** Whether that was the last one. */
  confirmOne(): boolean {
    return --this.#missing === 0;
  }
}

/** What the confirmation of a record confirms; null when a later record of the same lane does it. */
export type Confirms = Acknowledgement | SplitChange | null;

interface Run {
  readonly confirms: Acknowledgement | SplitChange;
  count: number;
}

/**
 * Records of one partition, written straight into the bytes that are sent. A record is begun with the length of its key,
 * its value and headers are written into `target`, and it is ended; until then the batch is as it was before, so a
 * record that fails half-way leaves nothing.
 */
export class RecordBatch {
  /** Where records are written; another buffer after the batch has grown. */
  target: Buffer;
  /** What it holds in memory in addition to its buffers, which the pool counts. */
  readonly bytes = BATCH_OBJECT_BYTES;
  /** Bytes that are written so far, including the head. */
  length = HEAD_BYTES;
  count = 0;
  /** Nothing is added to a batch that was given to be delivered. */
  isSealed = false;
  readonly runs: Run[] = [];
  readonly #pool: BufferPool;
  /** The compressed bytes; null where what is sent is `target`. */
  #packed: Buffer | null = null;
  #valueAt = 0;
  #lastRecordAt = 0;
  #lastConfirms: Confirms = null;
  /** Bytes that the lengths of record and value took in the newest record: they seldom change. */
  #recordLengthBytes = 2;
  #valueLengthBytes = 2;

  constructor(pool: BufferPool, expectedBytes = 0) {
    this.#pool = pool;
    this.target = pool.take(expectedBytes);
  }

  /** Makes room for a record of at most `bound` bytes of key, value and headers; returns where its value is to begin. */
  beginRecord(keyLength: number, bound: number): number {
    const needed = this.length + bound + MOST_PRELUDE_BYTES;
    if (needed > this.target.length) this.#grow(needed);
    this.#valueAt = this.length + this.#preludeBytes(keyLength, this.#recordLengthBytes, this.#valueLengthBytes);
    return this.#valueAt;
  }

  /**
   * Ends the record. Its key is the first `keyLength` bytes of `key`; its value lies from where it began to `valueEnd`
   * (null: it is Kafka's null and the headers begin there), its headers, their count first, from there to `end`.
   */
  endRecord(key: Buffer | null, keyLength: number, valueEnd: number | null, end: number, confirms: Confirms): void {
    const valueAt = this.#valueAt;
    const valueLength = valueEnd === null ? -1 : valueEnd - valueAt;
    const keyBytes = key === null ? 1 : varintBytes(keyLength) + keyLength;
    const valueLengthBytes = valueLength < 0 ? 1 : varintBytes(valueLength);
    const bodyLength = 2 + varintBytes(this.count) + keyBytes + valueLengthBytes + (end - valueAt);
    const recordLengthBytes = varintBytes(bodyLength);
    const from = this.length + recordLengthBytes + bodyLength - (end - valueAt);
    if (from !== valueAt) this.target.copyWithin(from, valueAt, end);
    this.#valueLengthBytes = valueLengthBytes;
    this.#recordLengthBytes = recordLengthBytes;
    this.#writePrelude(key, keyLength, valueLength, bodyLength);
    this.#lastRecordAt = this.length;
    this.#lastConfirms = confirms;
    this.length = from + end - valueAt;
    this.count++;
    this.#note(confirms, 1);
  }

  /** Any record, for messages that are few. */
  append({ key, value, headers }: KafkaRecord, confirms: Confirms): void {
    const keyBytes = key === null ? null : Buffer.from(key);
    const valueBytes = value === null ? null : Buffer.from(value);
    const headerBytes = encodeHeaders(headers);
    const bound = (keyBytes?.length ?? 0) + (valueBytes?.length ?? 0) + headerBytes.length;
    const at = this.beginRecord(keyBytes?.length ?? 0, bound);
    const valueEnd = at + (valueBytes?.copy(this.target, at) ?? 0);
    const end = valueEnd + headerBytes.copy(this.target, valueEnd);
    this.endRecord(keyBytes, keyBytes?.length ?? 0, valueBytes === null ? null : valueEnd, end, confirms);
  }

  /** Takes the newest record out and appends it to `next`. */
  moveLastTo(next: RecordBatch): void {
    const end = this.length;
    this.length = this.#lastRecordAt;
    this.count--;
    const run = this.runs.at(-1);
    if (this.#lastConfirms !== null && run !== undefined && --run.count === 0) this.runs.pop();
    next.#appendRaw(this.target, this.#lastRecordAt, end);
    next.#note(this.#lastConfirms, 1);
    next.#lastConfirms = this.#lastConfirms;
  }

  /** Two batches of half the bytes each; what the records confirm stays with this one. */
  split(): [RecordBatch, RecordBatch] {
    const half = this.length / 2;
    const halves: [RecordBatch, RecordBatch] = [
      new RecordBatch(this.#pool, half),
      new RecordBatch(this.#pool, this.length),
    ];
    for (let at = HEAD_BYTES; at < this.length;) {
      const end = at + varintLength(this.target, at) + readVarint(this.target, at);
      const isFirst = halves[0].count === 0 || (end <= half && halves[1].count === 0);
      halves[isFirst && halves[0].count < this.count - 1 ? 0 : 1].#appendRaw(this.target, at, end);
      at = end;
    }
    for (const part of halves) part.isSealed = true;
    return halves;
  }

  /** The records that pass, in a batch of their own, or this one if all do; what they confirm stays with this one. */
  filter(passes: (record: KafkaRecord) => boolean): RecordBatch {
    const passed = this.records().map(passes);
    if (!passed.includes(false)) return this;
    const kept = new RecordBatch(this.#pool, this.length);
    for (let at = HEAD_BYTES, i = 0; at < this.length; i++) {
      const end = at + varintLength(this.target, at) + readVarint(this.target, at);
      if (passed[i] === true) kept.#appendRaw(this.target, at, end);
      at = end;
    }
    kept.isSealed = true;
    return kept;
  }

  /** The records as objects, for clients that encode by themselves and for messages about them. */
  records(): KafkaRecord[] {
    const records: KafkaRecord[] = [];
    for (let at = HEAD_BYTES; at < this.length;) {
      const body = at + varintLength(this.target, at);
      const end = body + readVarint(this.target, at);
      records.push(this.#readRecord(body));
      at = end;
    }
    return records;
  }

  /** The bytes to be sent. They stay valid until `release`; with another identity they are made again in place. */
  encode(identity: BatchIdentity): Buffer {
    const plain = this.target.subarray(0, this.length);
    const compression = plain.length < MIN_COMPRESSED_BYTES ? 'none' : identity.compression;
    const batch = compression === 'none' ? plain : this.#compress(plain, compression);
    batch.writeBigInt64BE(0n, 0); // base offset: the broker's to give
    batch.writeInt32BE(batch.length - LENGTH_COUNTS_FROM, 8);
    batch.writeInt32BE(-1, 12); // partition leader epoch: the broker's too
    batch.writeInt8(2, 16); // format
    batch.writeInt16BE(compressionsAlgorithms[compression].bitmask, ATTRIBUTES_OFFSET);
    batch.writeInt32BE(this.count - 1, 23);
    batch.writeBigInt64BE(BigInt(identity.timestampMs), 27);
    batch.writeBigInt64BE(BigInt(identity.timestampMs), 35);
    batch.writeBigInt64BE(identity.producerId, 43);
    batch.writeInt16BE(identity.producerEpoch, 51);
    batch.writeInt32BE(identity.baseSequence, 53);
    batch.writeInt32BE(this.count, 57);
    batch.writeUInt32BE(crc32c(batch.subarray(ATTRIBUTES_OFFSET)), CRC_OFFSET);
    return batch;
  }

  /** Gives its buffers back. Only when all that was sent of it has been answered. */
  release(): void {
    this.#releasePacked();
    if (this.target.length === 0) return;
    this.#pool.give(this.target);
    this.target = Buffer.alloc(0);
  }

  #releasePacked(): void {
    if (this.#packed !== null) this.#pool.give(this.#packed);
    this.#packed = null;
  }

  #compress(plain: Buffer, compression: KafkaCompression): Buffer {
    this.#releasePacked();
    const packed = compressionsAlgorithms[compression].compressSync(plain.subarray(HEAD_BYTES));
    this.#packed = this.#pool.take(HEAD_BYTES + packed.length);
    return this.#packed.subarray(0, HEAD_BYTES + packed.copy(this.#packed, HEAD_BYTES));
  }

  #note(confirms: Confirms, count: number): void {
    if (confirms === null) return;
    const run = this.runs.at(-1);
    if (run?.confirms === confirms) run.count += count;
    else this.runs.push({ confirms, count });
  }

  #preludeBytes(keyLength: number, recordLengthBytes: number, valueLengthBytes: number): number {
    return recordLengthBytes + 2 + varintBytes(this.count) + varintBytes(keyLength) + keyLength + valueLengthBytes;
  }

  #writePrelude(key: Buffer | null, keyLength: number, valueLength: number, bodyLength: number): void {
    const { target } = this;
    let p = writeVarint(target, this.length, bodyLength);
    target[p++] = 0; // attributes
    target[p++] = 0; // timestamp delta: one time for the batch
    p = writeVarint(target, p, this.count);
    if (key === null) target[p++] = NULL_LENGTH;
    else {
      p = writeVarint(target, p, keyLength);
      for (let i = 0; i < keyLength; i++) target[p++] = key[i] as number;
    }
    if (valueLength < 0) target[p] = NULL_LENGTH;
    else writeVarint(target, p, valueLength);
  }

  /** Appends a whole record of another batch: only its length and offset delta change. */
  #appendRaw(source: Buffer, at: number, end: number): void {
    const delta = at + varintLength(source, at) + 2;
    const rest = delta + varintLength(source, delta);
    const bodyLength = 2 + varintBytes(this.count) + (end - rest);
    const needed = this.length + MOST_PRELUDE_BYTES + end - rest;
    if (needed > this.target.length) this.#grow(needed);
    this.#lastRecordAt = this.length;
    let p = writeVarint(this.target, this.length, bodyLength);
    this.target[p++] = 0;
    this.target[p++] = 0;
    p = writeVarint(this.target, p, this.count);
    this.length = p + source.copy(this.target, p, rest, end);
    this.count++;
  }

  #readRecord(body: number): KafkaRecord {
    const { target } = this;
    let p = body + 2;
    const field = (): Buffer | null => {
      const length = readVarint(target, p);
      p += varintLength(target, p);
      if (length < 0) return null;
      p += length;
      return Buffer.from(target.subarray(p - length, p));
    };
    p += varintLength(target, p);
    const [key, value] = [field(), field()];
    const count = readVarint(target, p);
    p += varintLength(target, p);
    const headers = Array.from({ length: count }, () => [String(field()), String(field())] as const);
    return { key, value, headers: Object.fromEntries(headers) };
  }

  #grow(needed: number): void {
    const larger = this.#pool.take(Math.max(needed, 2 * this.target.length));
    this.target.copy(larger, 0, 0, this.length);
    this.#pool.give(this.target);
    this.target = larger;
  }
}

const smallPool = new BufferPool(0);

/** Messages that are few, as one batch. */
export function batchOf(records: readonly KafkaRecord[]): RecordBatch {
  const batch = new RecordBatch(smallPool);
  for (const record of records) batch.append(record, null);
  return batch;
}

const NULL_LENGTH = 1; // zigzag of -1

/** Below this, compression costs more than it saves; each batch says for itself whether it is compressed. */
const MIN_COMPRESSED_BYTES = 1_024;

function encodeHeaders(headers: Readonly<Record<string, string>>): Buffer {
  const fields = Object.entries(headers)
    .flat()
    .map((text) => Buffer.from(text));
  const target = Buffer.alloc(fields.reduce((sum, field) => sum + 5 + field.length, 5));
  let p = writeVarint(target, 0, fields.length / 2);
  for (const field of fields) {
    p = writeVarint(target, p, field.length);
    p += field.copy(target, p);
  }
  return target.subarray(0, p);
}
