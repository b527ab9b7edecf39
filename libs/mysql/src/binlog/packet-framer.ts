const HEADER_BYTES = 4;
/** A packet of this length continues in the next one (MySQL manual, "MySQL Packets"). */
const MAX_PACKET_BYTES = 0xffffff;
/** Where a packet with an event holds the size of the event: after the OK marker, timestamp, type and server id. */
const EVENT_SIZE_AT = 10;
/** Before each event. */
const OK_MARKER_BYTES = 1;
/** No event is larger than the largest `max_allowed_packet`; what claims to be gets its room as it comes. */
const MAX_EVENT_BYTES = 2 ** 30;
const NO_BYTES = Buffer.alloc(0);

export interface PacketFramerOptions {
  /**
   * The payload of one packet, in `bytes` from `start` to `end`. The bytes stay as they are after the call: no buffer is
   * ever used again, so that parts of it may be kept.
   */
  readonly onPacket: (bytes: Buffer, start: number, end: number) => void;
  /**
   * The first 16 MiB of an event of `size` bytes, from its header on, before there is room for the rest: `close` refuses it.
   */
  readonly onLarge?: (bytes: Buffer, start: number, size: number) => void;
}

/**
 * Cuts the byte stream of a connection into packets, without an object or a copy for a packet that lies in one chunk.
 * A packet that lies in several is copied once, into a buffer of its full length.
 *
 * `pause` holds from the next packet on, also when it is called by `onPacket`: what came already is kept and delivered
 * after `resume`, in order. Nothing is delivered after `close`.
 */
export class PacketFramer {
  readonly #onPacket: PacketFramerOptions['onPacket'];
  readonly #onLarge: PacketFramerOptions['onLarge'];
  /** What of the current chunk is not framed yet. */
  #chunk: Buffer = NO_BYTES;
  #at = 0;
  /** Chunks that came while the current one was held. */
  #waiting: Buffer[] = [];
  /** The first bytes of a header that was cut, as a little-endian number. */
  #header = 0;
  #headerBytes = 0;
  /** The payload that is being joined; null between packets. */
  #joined: Buffer | null = null;
  #joinedBytes = 0;
  /** Bytes that are still to come of the current packet of `#joined`. */
  #missing = 0;
  /** Whether `#joined` continues in another packet. */
  #continues = false;
  #isPaused = false;
  #isClosed = false;
  #isDelivering = false;

  constructor(options: PacketFramerOptions) {
    this.#onPacket = options.onPacket;
    this.#onLarge = options.onLarge;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** The chunk must not be changed afterwards. */
  push(chunk: Buffer): void {
    if (this.#isClosed) return;
    if (this.#at < this.#chunk.length || this.#waiting.length > 0) {
      this.#waiting.push(chunk);
      return;
    }
    this.#chunk = chunk;
    this.#at = 0;
    this.#deliver();
  }

  pause(): void {
    this.#isPaused = true;
  }

  /** Delivers what is held; `isPaused` says whether `onPacket` has paused again. */
  resume(): void {
    this.#isPaused = false;
    this.#deliver();
  }

  close(): void {
    this.#isClosed = true;
    this.#chunk = NO_BYTES;
    this.#at = 0;
    this.#waiting = [];
    this.#joined = null;
    this.#missing = 0;
  }

  #deliver(): void {
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    try {
      while (!this.#isPaused && !this.#isClosed) {
        if (this.#at >= this.#chunk.length) {
          const chunk = this.#waiting.shift();
          if (chunk === undefined) return;
          this.#chunk = chunk;
          this.#at = 0;
        }
        if (this.#joined === null && this.#headerBytes === 0) this.#frame();
        else this.#join();
      }
    } finally {
      this.#isDelivering = false;
    }
  }

  /** Delivers the packets that lie whole in the chunk; begins to join what is left after them. */
  #frame(): void {
    const chunk = this.#chunk;
    const end = chunk.length;
    let at = this.#at;
    while (end - at >= HEADER_BYTES) {
      const length = (chunk[at] as number) | ((chunk[at + 1] as number) << 8) | ((chunk[at + 2] as number) << 16);
      const start = at + HEADER_BYTES;
      if (length === MAX_PACKET_BYTES || length > end - start) break;
      at = start + length;
      this.#at = at;
      this.#onPacket(chunk, start, at);
      if (this.#isPaused || this.#isClosed) return;
    }
    if (at < end) this.#join();
  }

  /** Takes what the chunk has of a header or a payload that is cut. */
  #join(): void {
    if (this.#missing === 0 && !this.#readHeader()) return;
    if (this.#isClosed) return;
    const joined = this.#joined ?? NO_BYTES;
    const bytes = Math.min(this.#missing, this.#chunk.length - this.#at);
    this.#chunk.copy(joined, this.#joinedBytes, this.#at, this.#at + bytes);
    this.#at += bytes;
    this.#joinedBytes += bytes;
    this.#missing -= bytes;
    if (this.#missing > 0 || this.#continues) return;
    const length = this.#joinedBytes;
    this.#joined = null;
    this.#joinedBytes = 0;
    this.#onPacket(joined, 0, length);
  }

  /** False while bytes of it are to come. Makes room for the payload that it announces. */
  #readHeader(): boolean {
    while (this.#headerBytes < HEADER_BYTES) {
      if (this.#at === this.#chunk.length) return false;
      // the fourth byte numbers the packets; TCP keeps their order
      if (this.#headerBytes < 3) this.#header |= (this.#chunk[this.#at] as number) << (8 * this.#headerBytes);
      this.#at++;
      this.#headerBytes++;
    }
    this.#missing = this.#header;
    this.#continues = this.#header === MAX_PACKET_BYTES;
    this.#header = 0;
    this.#headerBytes = 0;
    this.#makeRoom();
    return true;
  }

  #makeRoom(): void {
    const needed = this.#joinedBytes + this.#missing;
    if (this.#joined === null) {
      this.#joined = Buffer.allocUnsafe(needed);
    } else if (this.#joined.length < needed) {
      // at the second packet of an event: its header gives the whole size, so this happens once
      const size = this.#joined.readUInt32LE(EVENT_SIZE_AT) + OK_MARKER_BYTES;
      this.#onLarge?.(this.#joined, OK_MARKER_BYTES, size - OK_MARKER_BYTES);
      if (this.#isClosed) return;
      const larger = Buffer.allocUnsafe(size > MAX_EVENT_BYTES || size < needed ? 2 * needed : size);
      this.#joined.copy(larger, 0, 0, this.#joinedBytes);
      this.#joined = larger;
    }
  }
}
