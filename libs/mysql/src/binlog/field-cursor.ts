import { lengthEncodedSize, readLengthEncoded } from './event-header.ts';

/** A cursor over length-encoded fields. */
export class FieldCursor {
  readonly bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  byte(): number {
    return this.bytes.readUInt8(this.at++);
  }

  encoded(): number {
    const value = readLengthEncoded(this.bytes, this.at);
    this.at += lengthEncodedSize(this.bytes, this.at);
    return value;
  }

  slice(length: number): Buffer {
    const start = this.at;
    this.at += length;
    if (this.at > this.bytes.length) throw new RangeError('a table map is cut off');
    return Buffer.from(this.bytes.subarray(start, this.at));
  }
}
