import { EventType, type EventBytes } from './event-header.ts';

export interface GtidEvent {
  /** `uuid:number` or `uuid:tag:number`; null for a transaction that has none. */
  readonly gtid: string | null;
  /** Commit time on the server where the transaction was first committed, microseconds since 1970; 0 before MySQL 8.0. */
  readonly commitMicros: number;
}

function uuidText(hex: string): string {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

const UUID_BYTES = 16;
const lastUuidBytes = Buffer.alloc(UUID_BYTES);
let lastUuid = uuidText(lastUuidBytes.toString('hex'));

/** One transaction after the other comes from the same server: its UUID is made into text once. */
function uuidAt(bytes: Buffer, at: number): string {
  for (let i = 0; i < UUID_BYTES; i++) {
    if (bytes[at + i] === lastUuidBytes[i]) continue;
    lastUuid = uuidText(bytes.toString('hex', at, at + UUID_BYTES));
    bytes.copy(lastUuidBytes, 0, at, at + UUID_BYTES);
    break;
  }
  return lastUuid;
}

/** Set in the seventh byte of the immediate commit timestamp when the original one follows. */
const ORIGINAL_TIMESTAMP_FLAG = 0x80;
const LOGICAL_TIMESTAMPS = 2;

/**
 * GTID_LOG_EVENT: flags 1, UUID 16, number 8, type of logical clock 1, last_committed 8, sequence_number 8,
 * immediate_commit_timestamp 7, original_commit_timestamp 7 when it differs (MySQL source,
 * `libs/mysql/binlog/event/control_events.h`, Gtid_event).
 */
export function parseGtidEvent(event: EventBytes): GtidEvent {
  const { bytes, body } = event;
  const number = bytes.readUInt32LE(body + 21) === 0 ? bytes.readUInt32LE(body + 17) : bytes.readBigInt64LE(body + 17);
  return { gtid: `${uuidAt(bytes, body + 1)}:${number}`, commitMicros: readCommitMicros(event) };
}

function readCommitMicros({ bytes, body, end }: EventBytes): number {
  const timestamp = body + 42;
  if (timestamp + 7 > end || bytes[body + 25] !== LOGICAL_TIMESTAMPS) return 0;
  const hasOriginal = ((bytes[timestamp + 6] ?? 0) & ORIGINAL_TIMESTAMP_FLAG) !== 0;
  if (hasOriginal && timestamp + 14 > end) return 0;
  return readMicros(bytes, hasOriginal ? timestamp + 7 : timestamp);
}

function readMicros(bytes: Buffer, at: number): number {
  return bytes.readUIntLE(at, 6) + ((bytes[at + 6] ?? 0) & 0x7f) * 2 ** 48;
}

/** Reads the variable-length integers of MySQL's serialization library (`libs/mysql/serialization`). */
class FieldReader {
  readonly #bytes: Buffer;
  readonly #end: number;
  #at: number;

  constructor(bytes: Buffer, at: number, end: number) {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
  }

  get at(): number {
    return this.#at;
  }

  get atEnd(): boolean {
    return this.#at >= this.#end;
  }

  /** The trailing one-bits of the first byte say how many bytes follow. */
  unsigned(): bigint {
    const first = this.#bytes.readUInt8(this.#at);
    let extra = 0;
    while (extra < 8 && ((first >> extra) & 1) === 1) extra++;
    if (this.#at + 1 + extra > this.#end) throw new RangeError('a number in a tagged GTID event is cut off');
    let rest = 0n;
    for (let i = 0; i < extra; i++) rest |= BigInt(this.#bytes.readUInt8(this.#at + 1 + i)) << BigInt(8 * i);
    this.#at += 1 + extra;
    if (extra === 8) return rest;
    return (BigInt(first) >> BigInt(extra + 1)) | (rest << BigInt(7 - extra));
  }

  signed(): bigint {
    const value = this.unsigned();
    return (value & 1n) === 1n ? -(value >> 1n) - 1n : value >> 1n;
  }

  text(length: number): string {
    const start = this.#at;
    this.#at += length;
    if (this.#at > this.#end) throw new RangeError('a text in a tagged GTID event is cut off');
    return this.#bytes.toString('utf8', start, this.#at);
  }
}

/**
 * GTID_TAGGED_LOG_EVENT (MySQL 8.3 and later): one message of fields with ascending ids: 0 flags, 1 UUID, 2 number,
 * 3 tag, 4 last_committed, 5 sequence_number, 6 immediate and 7 original commit timestamp, … (control_events.h,
 * Gtid_event::define_fields).
 */
export function parseTaggedGtidEvent({ bytes, body, end }: EventBytes): GtidEvent {
  const fields = new FieldReader(bytes, body, end);
  const version = fields.unsigned();
  if (version !== 1n) throw new Error(`tagged GTID event of unknown version ${version}`);
  fields.unsigned(); // encoded size
  fields.unsigned(); // last id that may not be ignored
  let uuid = '';
  let number = 0n;
  let tag = '';
  let immediate = 0n;
  let original: bigint | null = null;
  while (!fields.atEnd) {
    const id = Number(fields.unsigned());
    if (id === 1) {
      const raw = Buffer.alloc(16);
      for (let i = 0; i < 16; i++) raw[i] = Number(fields.unsigned());
      uuid = uuidAt(raw, 0);
    } else if (id === 2) number = fields.signed();
    else if (id === 3) tag = fields.text(Number(fields.unsigned()));
    else if (id === 4 || id === 5) fields.signed();
    else if (id === 6) immediate = fields.unsigned();
    else if (id === 7) original = fields.unsigned();
    else if (id === 0) fields.unsigned();
    else break;
  }
  if (uuid === '' || number <= 0n) throw new Error('tagged GTID event without a UUID or a number');
  const gtid = tag === '' ? `${uuid}:${number}` : `${uuid}:${tag}:${number}`;
  return { gtid, commitMicros: Number(original ?? immediate) };
}

/** An ANONYMOUS_GTID_LOG_EVENT is a GTID_LOG_EVENT whose UUID and number mean nothing. */
export function parseAnyGtidEvent(type: number, event: EventBytes): GtidEvent {
  if (type === EventType.anonymousGtid) return { gtid: null, commitMicros: readCommitMicros(event) };
  return type === EventType.gtidTagged ? parseTaggedGtidEvent(event) : parseGtidEvent(event);
}
