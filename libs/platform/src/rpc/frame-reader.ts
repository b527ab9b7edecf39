import { StringDecoder } from 'node:string_decoder';

export type RpcRefusalReason =
  'not-a-frame' | 'too-large' | 'not-a-request' | 'late' | 'connections' | 'memory' | 'denied' | 'answers-unread';

/** Why a connection is closed. */
export class RpcRefusal extends Error {
  readonly reason: RpcRefusalReason;

  constructor(reason: RpcRefusalReason) {
    super(reason);
    this.name = 'RpcRefusal';
    this.reason = reason;
  }
}

/** Parts of a frame are joined this many at a time, so that a frame that comes byte by byte costs no more than another. */
const JOINED_PARTS = 1024;

/**
 * Takes the frames of Nest's TCP transport out of what arrives: `<length>#<JSON text>`, the length in UTF-16 code units.
 * A frame that says, or turns out, to be too large is refused before it is kept; so is what can be no frame from its first
 * character on, as the request line of HTTP (web pages can send that to any port).
 */
export class FrameReader {
  readonly #maxBytes: number;
  readonly #decoder = new StringDecoder('utf8');
  #prefix = '';
  /** Code units that the frame lacks; null between frames. */
  #missing: number | null = null;
  #heldBytes = 0;
  #parts: string[] = [];
  #newParts: string[] = [];

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Of the frame that is not complete. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Whether a part of a frame has arrived. */
  get isWithinFrame(): boolean {
    return this.#missing !== null || this.#prefix !== '';
  }

  /**
   * The frames that are complete now.
   *
   * @throws RpcRefusal
   */
  read(bytes: Buffer): readonly string[] {
    const text = this.#decoder.write(bytes);
    const frames: string[] = [];
    for (let at = 0; at < text.length;) {
      if (this.#missing === null) {
        this.#readPrefix(text.charAt(at++));
        continue;
      }
      const part = text.slice(at, at + this.#missing);
      at += part.length;
      this.#missing -= part.length;
      this.#keep(part);
      if (this.#missing === 0) frames.push(this.#takeFrame());
    }
    return frames;
  }

  #readPrefix(character: string): void {
    if (character >= '0' && character <= '9') {
      this.#prefix += character;
      if (Number(this.#prefix) > this.#maxBytes) throw new RpcRefusal('too-large');
      if (this.#prefix.startsWith('0')) throw new RpcRefusal('not-a-frame');
      return;
    }
    if (character !== '#' || this.#prefix === '') throw new RpcRefusal('not-a-frame');
    this.#missing = Number(this.#prefix);
    this.#prefix = '';
  }

  #keep(part: string): void {
    this.#heldBytes += Buffer.byteLength(part);
    if (this.#heldBytes > this.#maxBytes) throw new RpcRefusal('too-large');
    this.#newParts.push(part);
    if (this.#newParts.length < JOINED_PARTS) return;
    this.#parts.push(this.#newParts.join(''));
    this.#newParts = [];
  }

  #takeFrame(): string {
    const frame = [...this.#parts, ...this.#newParts].join('');
    this.#missing = null;
    this.#heldBytes = 0;
    this.#parts = [];
    this.#newParts = [];
    return frame;
  }
}
