import { type Socket } from 'node:net';
import { type TextPlaces } from '#change-events';
import { type Connection, type Query } from 'mysql2';

export interface RowsBound {
  /** What the rows may take in memory. A packet of the network more may come. */
  readonly bytes: number;
  /** What a row takes in addition to the bytes that the server sends for it. */
  readonly overheadBytes: number;
}

export interface BoundedRows extends TextPlaces {
  /** What they take in memory, and what of the next one had come. */
  readonly bytes: number;
  /** Whether the bound ended the reading, most likely in the middle of the next row. */
  readonly isCut: boolean;
}

/**
 * Runs a query and takes its rows until they reach the bound; counted is what comes from the network, so that the bound
 * holds while a row is being received too. A connection whose result was cut is paused in the middle of it, and of no
 * more use.
 */
export function receiveRows(driver: Connection, socket: Socket, sql: string, bound: RowsBound): Promise<BoundedRows> {
  const { promise, resolve, reject } = Promise.withResolvers<BoundedRows>();
  const texts = new TextCollector();
  let received = 0;
  let isEnded = false;
  const bytes = (): number => received + texts.count * bound.overheadBytes;
  // the driver's own listener was there first: what is complete by now is among the rows
  const count = (data: Buffer): void => {
    received += data.length;
    if (isEnded || bytes() <= bound.bytes) return;
    socket.off('data', count);
    socket.pause();
    resolve({ ...texts.end(), bytes: bytes(), isCut: true });
  };
  socket.on('data', count);
  const query = driver
    .query({ sql, rowsAsArray: true })
    .on('error', reject)
    .on('end', () => {
      isEnded = true;
      socket.off('data', count);
      resolve({ ...texts.end(), bytes: bytes(), isCut: false });
    });
  takeTexts(query, texts);
  return promise;
}

/** A packet of the driver: one row, from `offset` to `end`. The object is used again for the next one, its buffer is not. */
interface RowPacket {
  readonly buffer: Buffer;
  readonly offset: number;
  readonly end: number;
}

/**
 * The driver makes a parser for each result and calls its `next` for each row. It is no part of the driver's public
 * interface: the driver is pinned, and the tests of reading fail when that changes.
 */
function takeTexts(query: Query, texts: TextCollector): void {
  const parser = { next: (packet: RowPacket): null => texts.take(packet) };
  Object.defineProperty(query, '_rowParser', { get: () => parser, set: () => undefined });
}

const FIRST_PLACES = 4096;
const NULL_TEXT = 0xfb;

/** Notes where the values of rows are (length-encoded strings of MySQL's text protocol). */
class TextCollector {
  #buffers: Buffer[] = [];
  #places = new Int32Array(FIRST_PLACES);
  #used = 0;

  get count(): number {
    return this.#buffers.length;
  }

  take({ buffer, offset, end }: RowPacket): null {
    let at = offset;
    while (at < end) {
      if (this.#used + 2 > this.#places.length) this.#grow();
      const first = buffer[at++] as number;
      if (first === NULL_TEXT) {
        this.#places[this.#used++] = -1;
        this.#places[this.#used++] = -1;
        continue;
      }
      let length = first;
      if (first > NULL_TEXT) {
        const width = first === 0xfc ? 2 : first === 0xfd ? 3 : 8;
        // a row has less than 2^32 bytes
        length = buffer.readUIntLE(at, Math.min(width, 4));
        at += width;
      }
      this.#places[this.#used++] = at;
      at += length;
      this.#places[this.#used++] = at;
    }
    if (at !== end) throw new RangeError('a row has another length than it says');
    this.#buffers.push(buffer);
    return null;
  }

  end(): TextPlaces {
    const rows = { buffers: this.#buffers, places: this.#places.subarray(0, this.#used) };
    // what comes after a cut is not taken
    this.#buffers = [];
    this.#used = 0;
    this.#places = new Int32Array(FIRST_PLACES);
    return rows;
  }

  #grow(): void {
    const grown = new Int32Array(2 * this.#places.length);
    grown.set(this.#places);
    this.#places = grown;
  }
}
