import { tmpdir } from 'node:os';
import { HEADER_BYTES, type EventBytes } from './event-header.ts';
import { type EventPieces } from './nested-events.ts';
import { BLOCK_BYTES, SpillFile } from './spill-file.ts';

const SIZE_AT = 9;
const END_OFFSET_AT = 13;
const DEFAULT_MEMORY_BYTES = 16 * 1024 * 1024;

export interface XaStoreOptions {
  /** Bytes of events that are kept in memory; what is more goes to disk. */
  readonly memoryBytes?: number;
  /** Where that file is made. */
  readonly folder?: string;
}

export interface PreparedXa {
  /** GTID of the XA PREPARE; null where it has none. */
  readonly gtid: string | null;
  readonly events: HeldEvents;
}

/**
 * XA transactions that the log holds as prepared: their outcome comes later, or never. Keeps the events of included
 * tables as they are in the log, and just the xid of transactions that have none.
 */
export class XaStore {
  readonly #memoryBytes: number;
  readonly #file: SpillFile;
  readonly #prepared = new Map<string, PreparedXa>();
  #usedBytes = 0;

  constructor({ memoryBytes = DEFAULT_MEMORY_BYTES, folder = tmpdir() }: XaStoreOptions = {}) {
    this.#memoryBytes = memoryBytes;
    this.#file = new SpillFile(folder);
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  get usedBlocks(): number {
    return this.#file.usedBlocks;
  }

  /** For the events of a transaction that begins. */
  hold(): HeldEvents {
    return new HeldEvents(this.#file, (bytes) => {
      this.#usedBytes += bytes;
      return this.#usedBytes > this.#memoryBytes;
    });
  }

  prepare(xid: string, gtid: string | null, events: HeldEvents): void {
    events.settle();
    this.#prepared.get(xid)?.events.close();
    this.#prepared.set(xid, { gtid, events });
  }

  /** Gives a prepared transaction once: it is decided. Null for one that was never prepared here. */
  take(xid: string): PreparedXa | null {
    const prepared = this.#prepared.get(xid) ?? null;
    this.#prepared.delete(xid);
    return prepared;
  }

  close(): void {
    this.#prepared.clear();
    this.#file.close();
  }
}

/** What `HeldEvents.add` was given with the event at `start`. */
export function imagesBefore(bytes: Buffer, start: number): number {
  return bytes.readUInt32LE(start + END_OFFSET_AT);
}

/** A place after an event that is held. */
export interface HeldMark {
  readonly blocks: number;
  readonly filled: number;
}

const NOTHING = Buffer.alloc(0);
const SMALLEST_BYTES = 1024;

/** In memory, or in the file. */
type HeldBlock = Buffer | { readonly block: number; readonly length: number };

/** The events of one transaction in the order in which they came, in blocks, those beyond the bound on disk. */
export class HeldEvents implements EventPieces {
  readonly #file: SpillFile;
  /** Takes note of bytes taken or given back; true while there are more than memory should hold. */
  readonly #account: (bytes: number) => boolean;
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #blocks: HeldBlock[] = [];
  #read = 0;
  /** The block that is being filled, up to `#filled`. */
  #open: Buffer = NOTHING;
  #filled = 0;

  constructor(file: SpillFile, account: (bytes: number) => boolean) {
    this.#file = file;
    this.#account = account;
  }

  /**
   * Keeps a copy of the event, without its checksum. `imagesBefore`: row images of tables that are not included, since
   * the event that was kept before; they are where the header has the event's end offset, which means nothing here.
   */
  add({ bytes, start, body, end }: EventBytes, imagesBefore: number): void {
    bytes.copy(this.#header, 0, start, body);
    this.#header.writeUInt32LE(end - start, SIZE_AT);
    this.#header.writeUInt32LE(imagesBefore, END_OFFSET_AT);
    this.#append(this.#header, 0, HEADER_BYTES);
    this.#append(bytes, body, end);
  }

  get isEmpty(): boolean {
    return this.#blocks.length === 0 && this.#filled === 0;
  }

  /** After what was added until now. */
  mark(): HeldMark {
    return { blocks: this.#blocks.length, filled: this.#filled };
  }

  /** Forgets what was added since; not after `settle`. */
  cutBack({ blocks, filled }: HeldMark): void {
    const [first, ...later] = this.#blocks.splice(blocks);
    if (first !== undefined) this.#replaceOpen(NOTHING);
    for (const block of later) this.#discard(block);
    if (Buffer.isBuffer(first)) this.#open = first;
    else if (first !== undefined) {
      const open = Buffer.allocUnsafeSlow(BLOCK_BYTES);
      this.#file.take(first.block, first.length).copy(open);
      this.#replaceOpen(open);
    }
    this.#filled = filled;
  }

  /** No event is added any more. */
  settle(): void {
    if (this.#filled === 0) return;
    if (this.#account(0)) {
      this.#writeOpen();
      this.#replaceOpen(NOTHING);
    } else {
      this.#replaceOpen(Buffer.from(this.#open.subarray(0, this.#filled)));
      this.#blocks.push(this.#open);
    }
    this.#open = NOTHING;
    this.#filled = 0;
  }

  next(): Buffer | null {
    const block = this.#blocks[this.#read];
    if (block === undefined) return null;
    this.#blocks[this.#read++] = NOTHING;
    if (!Buffer.isBuffer(block)) return this.#file.take(block.block, block.length);
    this.#account(-block.length);
    return block;
  }

  close(): void {
    for (const block of this.#blocks) this.#discard(block);
    this.#blocks = [];
    this.#replaceOpen(NOTHING);
    this.#filled = 0;
  }

  #append(bytes: Buffer, start: number, end: number): void {
    for (let at = start; at < end;) {
      if (this.#filled === this.#open.length) this.#makeRoom();
      const count = Math.min(end - at, this.#open.length - this.#filled);
      bytes.copy(this.#open, this.#filled, at, at + count);
      this.#filled += count;
      at += count;
    }
  }

  /** Small transactions take little; a full block goes to disk when memory holds enough. */
  #makeRoom(): void {
    const size = this.#open.length;
    if (size < BLOCK_BYTES) {
      const larger = Buffer.allocUnsafeSlow(Math.min(BLOCK_BYTES, Math.max(SMALLEST_BYTES, 4 * size)));
      this.#open.copy(larger, 0, 0, size);
      this.#replaceOpen(larger);
    } else if (this.#account(0)) {
      this.#writeOpen();
    } else {
      this.#blocks.push(this.#open);
      this.#open = Buffer.allocUnsafeSlow(BLOCK_BYTES);
      this.#account(BLOCK_BYTES);
      this.#filled = 0;
    }
  }

  #discard(block: HeldBlock): void {
    if (Buffer.isBuffer(block)) this.#account(-block.length);
    else this.#file.free(block.block);
  }

  #writeOpen(): void {
    this.#blocks.push({ block: this.#file.write(this.#open.subarray(0, this.#filled)), length: this.#filled });
    this.#filled = 0;
  }

  #replaceOpen(next: Buffer): void {
    this.#account(next.length - this.#open.length);
    this.#open = next;
  }
}
