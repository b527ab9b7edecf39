import { HEADER_BYTES } from './event-header.ts';

/**
 * Bytes of whole events that another event of the log represents and that are read before what follows it, cut anywhere.
 * Events among them carry no checksum.
 */
export interface EventPieces {
  /** The next piece, not used by anyone else afterwards; null at the end. */
  next(): Buffer | null | Promise<Buffer | null>;
  /** Lets go of what is left. Nothing is read after that. */
  close(): void;
}

/** What an event represents; `onEnd` is called when all of it was read. */
export interface NestedEvents {
  readonly pieces: EventPieces;
  readonly onEnd: () => void;
}

const NOTHING = Buffer.alloc(0);
const SIZE_AT = 9;

export function eventSize(bytes: Buffer, start: number): number {
  return bytes.readUInt32LE(start + SIZE_AT);
}

/** Joins pieces to whole events. What it gives is part of the pieces themselves wherever no event is cut. */
export class EventAssembler {
  readonly #onCut: (bytes: Buffer, start: number, size: number) => void;
  #parts: Buffer[] = [];
  #length = 0;
  /** Bytes from which on the first event, or at least its header, is whole. */
  #needed = HEADER_BYTES;

  /** True when nothing waits for the rest of its event. */
  get isEmpty(): boolean {
    return this.#length === 0;
  }

  /** `onCut` is called with the beginning of an event of which more is to come, and its size; throwing refuses it. */
  constructor(onCut: (bytes: Buffer, start: number, size: number) => void = () => undefined) {
    this.#onCut = onCut;
  }

  /** The events that are whole now, none or many. */
  push(piece: Buffer): Buffer {
    this.#parts.push(piece);
    this.#length += piece.length;
    if (this.#length < this.#needed) return NOTHING;
    const bytes = this.#parts.length === 1 ? piece : Buffer.concat(this.#parts, this.#length);
    const end = this.#endOfWhole(bytes);
    this.#parts = end === bytes.length ? [] : [bytes.subarray(end)];
    this.#length = bytes.length - end;
    return bytes.subarray(0, end);
  }

  #endOfWhole(bytes: Buffer): number {
    let at = 0;
    for (;;) {
      this.#needed = HEADER_BYTES;
      if (bytes.length - at < HEADER_BYTES) return at;
      const size = eventSize(bytes, at);
      if (size < HEADER_BYTES) throw new RangeError(`a nested event says that it has ${size} bytes`);
      this.#needed = size;
      if (bytes.length - at < size) {
        this.#onCut(bytes, at, size);
        return at;
      }
      at += size;
    }
  }
}
