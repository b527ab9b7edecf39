/** One element of a BSON document (https://bsonspec.org/spec.html), by the places of its parts in the document's bytes. */
export interface BsonElement {
  readonly type: number;
  readonly name: string;
  /** Where its value begins, and what comes after it. */
  readonly start: number;
  readonly end: number;
}

const LENGTH_BYTES = 4;
/** The least document: its length and its end. */
const LEAST_BYTES = 5;

/**
 * The elements of a document in the order in which they are stored, which an object of JavaScript doesn't keep. Throws a
 * RangeError for what is not one document from its first byte to its last.
 */
export function* readElements(document: Uint8Array): Generator<BsonElement, undefined> {
  const bytes = Buffer.from(document.buffer, document.byteOffset, document.byteLength);
  if (bytes.length < LEAST_BYTES || bytes.readInt32LE(0) !== bytes.length)
    throw new RangeError('a BSON document has another length than it says');
  let at = LENGTH_BYTES;
  for (;;) {
    const type = bytes[at] as number;
    if (type === 0 && at === bytes.length - 1) return;
    const nameEnd = bytes.indexOf(0, at + 1);
    const start = nameEnd + 1;
    const end = nameEnd === -1 ? -1 : start + measureValue(bytes, type, start);
    // room for the end of the document after it
    if (end < start || end >= bytes.length) throw new RangeError('a BSON document ends inside an element');
    yield { type, name: bytes.toString('utf8', at + 1, nameEnd), start, end };
    at = end;
  }
}

/** Where the first element of a document ends. Throws a RangeError for what is no document, or an empty one. */
export function findFirstEnd(document: Buffer): number {
  const nameEnd = document.indexOf(0, LENGTH_BYTES + 1);
  const end = nameEnd + 1 + measureValue(document, document[LENGTH_BYTES] as number, nameEnd + 1);
  if (nameEnd === -1 || end <= nameEnd || end >= document.length)
    throw new RangeError('a BSON document has no element');
  return end;
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
/** The text of a string's bytes; undefined when it is not one, or not UTF-8. */
export function readString(bytes: Uint8Array): string | undefined {
  if (bytes.length <= LENGTH_BYTES || bytes.at(-1) !== 0) return undefined;
  try {
    return UTF8.decode(bytes.subarray(LENGTH_BYTES, -1));
  } catch {
    return undefined;
  }
}

/** Of the bytes of one value; what they have in them is not looked at. */
export function measureValue(bytes: Buffer, type: number, at: number): number {
  switch (type) {
    case 0x06: // undefined
    case 0x0a: // null
    case 0x7f: // max key
    case 0xff: // min key
      return 0;
    case 0x08: // boolean
      return 1;
    case 0x10: // int32
      return 4;
    case 0x01: // double
    case 0x09: // date
    case 0x11: // timestamp
    case 0x12: // long
      return 8;
    case 0x07: // object id
      return 12;
    case 0x13: // decimal128
      return 16;
    case 0x02: // string
    case 0x0d: // code
    case 0x0e: // symbol
      return 4 + lengthAt(bytes, at);
    case 0x03: // document
    case 0x04: // array
    case 0x0f: // code with scope
      return lengthAt(bytes, at);
    case 0x05: // binary
      return 5 + lengthAt(bytes, at);
    case 0x0b: // regular expression
      return bytes.indexOf(0, bytes.indexOf(0, at) + 1) + 1 - at;
    case 0x0c: // pointer
      return 4 + lengthAt(bytes, at) + 12;
    default:
      throw new RangeError(`BSON has no type ${type}`);
  }
}

function lengthAt(bytes: Buffer, at: number): number {
  if (at < 0 || at + LENGTH_BYTES > bytes.length) throw new RangeError('a BSON document ends inside a length');
  return bytes.readInt32LE(at);
}
