import {
  ChangeHeaderWriter,
  type ChangePart,
  type EnvelopeOptions,
  EnvelopeWriter,
  hasKey,
  partitionForKey,
  type RowChanges,
  type RowImages,
  type TableChange,
  type TableLayout,
  VERSION_BYTES,
  writeAscii,
} from '#change-events';
import { type Acknowledgement } from '#replication';

import { type Confirms, type RecordBatch, SplitChange } from './record-batch.ts';
import { varintBytes, writeVarint } from './varint.ts';

/** A topic and the lanes of its partitions: lane = `firstLane` + partition. */
export interface TopicLanes {
  readonly topic: string;
  readonly partitions: number;
  readonly firstLane: number;
  /** Upper bound for one record batch of this topic. */
  readonly maxBatchBytes: number;
}

/** Where records of a lane are written. */
export interface BatchSource {
  /** The batch that the lane's next record, of at most so many bytes, goes into. */
  openBatch(lane: number, bound: number): RecordBatch;
  /** Says that a record was ended in the lane's open batch. */
  recorded(lane: number, batch: RecordBatch): void;
}

/** The change that is being written. */
interface Current {
  readonly changes: RowChanges;
  readonly index: number;
  readonly nowMs: number;
  readonly bound: number;
  readonly keys: Buffer;
}

/** Two headers: their count, then name and value of each with their lengths. */
const ID_NAME = headerName('ditto.id');
const VERSION_NAME = headerName('ditto.version');
const HEADER_COUNT = 2 * 2;
/** Bytes of the headers without the id. */
const HEADER_BYTES = 1 + ID_NAME.length + 5 + VERSION_NAME.length + 1 + 1 + VERSION_BYTES;

function headerName(name: string): Buffer {
  const field = Buffer.alloc(1 + name.length);
  writeAscii(field, writeVarint(field, 0, name.length), name);
  return field;
}

/** Keys of one row at a time; both keys of an update side by side. Rows that may have longer ones get a buffer of their own. */
const sharedKeys = Buffer.allocUnsafeSlow(64 * 1024);

/** Writes the changes of one layout as records of their partitions. */
export class TableRoute {
  readonly lanes: TopicLanes;
  /** Whether rows have a key: without one there are no tombstones and one partition. */
  readonly #keyed: boolean;
  readonly #options: EnvelopeOptions & { readonly tombstones: boolean };
  readonly #envelope: EnvelopeWriter;
  readonly #headers = new ChangeHeaderWriter();
  readonly #batches: BatchSource;
  #current: Current | null = null;

  constructor(
    layout: TableLayout,
    lanes: TopicLanes,
    options: EnvelopeOptions & { readonly tombstones: boolean },
    batches: BatchSource,
  ) {
    this.lanes = lanes;
    this.#keyed = hasKey(layout);
    this.#options = options;
    this.#envelope = new EnvelopeWriter(layout, options);
    this.#batches = batches;
  }

  /** Writes one change: one record, a delete with its tombstone, or a changed key's removal and creation. */
  push(changes: RowChanges, index: number, nowMs: number, acknowledgement: Acknowledgement): void {
    const bound = this.#envelope.bound(changes, index);
    const keys = 2 * bound <= sharedKeys.length ? sharedKeys : Buffer.allocUnsafe(2 * bound);
    this.#current = { changes, index, nowMs, bound, keys };
    this.#pushCurrent(acknowledgement);
    // the rows of a chunk are not held until the table's next change comes
    this.#current = null;
  }

  #pushCurrent(acknowledgement: Acknowledgement): void {
    const { changes, index, keys } = this.#current as Current;
    const { op, before, after } = changes;
    if (!this.#keyed) {
      this.#record('whole', false, 0, 0, acknowledgement);
      return;
    }
    const keyEnd = this.#writeKey((after ?? before) as RowImages, index, keys, 0);
    if (op === 'delete') {
      this.#remove('whole', 0, keyEnd, acknowledgement);
      return;
    }
    if (op === 'update') {
      const oldEnd = this.#writeKey(before as RowImages, index, keys, keyEnd);
      if (!isSameKey(keys, keyEnd, oldEnd)) {
        const split = new SplitChange(acknowledgement, 2);
        this.#remove('removal', keyEnd, oldEnd, split);
        this.#record('creation', false, 0, keyEnd, split);
        return;
      }
    }
    this.#record('whole', false, 0, keyEnd, acknowledgement);
  }

  encodeTableChange(change: TableChange, nowMs: number): Buffer {
    return this.#envelope.encodeTableChange(change, nowMs);
  }

  #writeKey(images: RowImages, index: number, keys: Buffer, at: number): number {
    return images.writeKey(index, keys, at, this.#options.bigint);
  }

  /** A delete, and the tombstone that lets compaction forget the key. */
  #remove(part: ChangePart, keyAt: number, keyEnd: number, confirms: Confirms): void {
    const { tombstones } = this.#options;
    this.#record(part, false, keyAt, keyEnd, tombstones ? null : confirms);
    if (tombstones) this.#record(part, true, keyAt, keyEnd, confirms);
  }

  /** One record of the current change, with the key from `keyAt` to `keyEnd`. */
  #record(part: ChangePart, isTombstone: boolean, keyAt: number, keyEnd: number, confirms: Confirms): void {
    const { changes, index, nowMs, bound, keys } = this.#current as Current;
    const { firstLane, partitions } = this.lanes;
    const key = keyAt === 0 ? keys : keys.subarray(keyAt, keyEnd);
    const keyLength = keyEnd - keyAt;
    const lane = this.#keyed ? firstLane + partitionForKey(key, partitions, keyLength) : firstLane;
    const most = keyLength + bound + this.#headers.idBound(changes) + HEADER_BYTES;
    const batch = this.#batches.openBatch(lane, most);
    const valueAt = batch.beginRecord(keyLength, most);
    const { target } = batch;
    const valueEnd = isTombstone ? null : this.#envelope.write(changes, index, part, nowMs, target, valueAt);
    const end = this.#writeHeaders(changes, index, part, target, valueEnd ?? valueAt);
    batch.endRecord(this.#keyed ? key : null, keyLength, valueEnd, end, confirms);
    this.#batches.recorded(lane, batch);
  }

  #writeHeaders(changes: RowChanges, index: number, part: ChangePart, target: Buffer, at: number): number {
    target[at] = HEADER_COUNT;
    target.set(ID_NAME, at + 1);
    const lengthAt = at + 1 + ID_NAME.length;
    let idAt = lengthAt + 1;
    let p = this.#headers.writeId(changes, index, part, target, idAt);
    // the length of most ids takes one byte; a longer one is moved
    const moved = varintBytes(p - idAt) - 1;
    if (moved > 0) {
      target.copyWithin(idAt + moved, idAt, p);
      idAt += moved;
      p += moved;
    }
    writeVarint(target, lengthAt, p - idAt);
    target.set(VERSION_NAME, p);
    p = writeVarint(target, p + VERSION_NAME.length, VERSION_BYTES);
    return this.#headers.writeVersion(changes, index, target, p);
  }
}

/** Whether the keys from 0 to `middle` and from `middle` to `end` are the same bytes. */
function isSameKey(keys: Buffer, middle: number, end: number): boolean {
  if (end !== 2 * middle) return false;
  for (let i = 0; i < middle; i++) if (keys[i] !== keys[middle + i]) return false;
  return true;
}
