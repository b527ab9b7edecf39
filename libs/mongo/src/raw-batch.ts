import { mongo } from 'mongoose';
import { readElements } from './bson-reader.ts';
import { BsonType } from './bson-writer.ts';

/** The first batch of a cursor, as bytes. */
export interface RawBatch {
  /** A BSON array of documents. */
  readonly batch: Buffer;
  readonly cursorId: mongo.Long;
  /** Whether there are no more. */
  readonly isComplete: boolean;
}

const LENGTH_BYTES = 4;

/** Of the reply to a command `find` that was sent with the driver's option `raw`: documents in the reply are bytes. */
export function readBatch({ cursor }: mongo.Document): RawBatch {
  if (!Buffer.isBuffer(cursor)) throw new TypeError('the reply of the server has no cursor');
  let batch: Buffer | null = null;
  let cursorId = mongo.Long.ZERO;
  for (const { name, type, start, end } of readElements(cursor)) {
    if (name === 'firstBatch' && type === BsonType.array) batch = cursor.subarray(start, end);
    else if (name === 'id' && type === BsonType.long)
      cursorId = mongo.Long.fromBytesLE([...cursor.subarray(start, end)]);
  }
  if (batch === null) throw new TypeError('the reply of the server has no batch');
  return { batch, cursorId, isComplete: cursorId.isZero() };
}

/** The documents of an array, where they are. Throws a RangeError for an array of something else. */
export function* readDocuments(array: Buffer): Generator<Buffer, undefined> {
  for (let at = LENGTH_BYTES; at < array.length - 1;) {
    const start = array.indexOf(0, at + 1) + 1;
    const length = array[at] === BsonType.document && start > 0 ? array.readInt32LE(start) : 0;
    if (length <= LENGTH_BYTES || start + length >= array.length) throw new RangeError('not an array of documents');
    at = start + length;
    yield array.subarray(start, at);
  }
}
