/** One element of a BSON document (https://bsonspec.org/spec.html), by the places of its parts in the document's bytes. */
export interface BsonElement {
  readonly type: number;
  readonly name: string;
  /** Where its value begins, and what comes after it. */
  readonly start: number;
  readonly end: number;
}

/** The elements of a document in the order in which they are stored, which an object of JavaScript doesn't keep. */
export function* readElements(document: Uint8Array): Generator<BsonElement> {
  const bytes = Buffer.from(document.buffer, document.byteOffset, document.byteLength);
  let at = 4;
  for (;;) {
    const type = bytes[at];
    if (type === undefined || type === 0) return;
    const nameEnd = bytes.indexOf(0, at + 1);
    const start = nameEnd + 1;
    const end = start + measureValue(bytes, type, start);
    if (nameEnd === -1 || end > bytes.length) throw new RangeError('a BSON document ends inside an element');
    yield { type, name: bytes.toString('utf8', at + 1, nameEnd), start, end };
    at = end;
  }
}

function measureValue(bytes: Buffer, type: number, at: number): number {
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
      return 4 + bytes.readInt32LE(at);
    case 0x03: // document
    case 0x04: // array
    case 0x0f: // code with scope
      return bytes.readInt32LE(at);
    case 0x05: // binary
      return 5 + bytes.readInt32LE(at);
    case 0x0b: // regular expression
      return bytes.indexOf(0, bytes.indexOf(0, at) + 1) + 1 - at;
    case 0x0c: // pointer
      return 4 + bytes.readInt32LE(at) + 12;
    default:
      throw new RangeError(`BSON has no type ${type}`);
  }
}
