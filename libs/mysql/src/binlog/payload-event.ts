import { createZstdDecompress, zstdDecompressSync, type ZstdDecompress } from 'node:zlib';
import { lengthEncodedSize, readLengthEncoded, type EventBytes } from './event-header.ts';
import { type EventPieces } from './nested-events.ts';

/** Fields of the event's header (MySQL source, `libs/mysql/binlog/event/codecs/binary.cpp`, fields). */
const Field = { end: 0, payloadSize: 1, compression: 2, uncompressedSize: 3 } as const;
const Compression = { zstd: 0, none: 255 } as const;

/** Up to this size a payload is decompressed at once: that costs less than to pause the connection. */
const AT_ONCE_BYTES = 256 * 1024;
const PIECE_BYTES = 128 * 1024;

interface Payload {
  readonly compression: number;
  readonly bytes: Buffer;
  /** Null when the event doesn't say. */
  readonly uncompressedBytes: number | null;
}

/** TRANSACTION_PAYLOAD_EVENT: fields of type, length, value (all numbers length-encoded) up to the end mark, then the payload. */
function parsePayload({ bytes, body, end }: EventBytes): Payload {
  let at = body;
  const readNumber = (): number => {
    const value = readLengthEncoded(bytes, at);
    at += lengthEncodedSize(bytes, at);
    return value;
  };
  let size: number | null = null;
  let compression: number = Compression.none;
  let uncompressedBytes: number | null = null;
  for (let field = readNumber(); field !== Field.end; field = readNumber()) {
    const length = readNumber();
    if (at + length > end) throw new RangeError('the fields of a transaction payload are cut off');
    const next = at + length;
    if (field === Field.payloadSize) size = readNumber();
    else if (field === Field.compression) compression = readNumber();
    else if (field === Field.uncompressedSize) uncompressedBytes = readNumber();
    at = next;
  }
  if (size !== end - at)
    throw new RangeError(`a transaction payload of ${end - at} bytes says that it has ${size ?? 'no'} bytes`);
  return { compression, bytes: bytes.subarray(at, end), uncompressedBytes };
}

/** The events of the transaction in the event, whose bytes must not change. Throws, or rejects later, when they are not all there. */
export function openPayload(event: EventBytes): EventPieces {
  const { compression, bytes, uncompressedBytes } = parsePayload(event);
  if (compression === Compression.none) return new OnePiece(bytes);
  if (compression !== Compression.zstd)
    throw new RangeError(`a transaction payload of unknown compression ${compression}`);
  if (uncompressedBytes !== null && uncompressedBytes <= AT_ONCE_BYTES)
    return new OnePiece(decompressAtOnce(bytes, uncompressedBytes));
  return new ZstdPieces(bytes, uncompressedBytes);
}

function decompressAtOnce(bytes: Buffer, expectedBytes: number): Buffer {
  if (expectedBytes === 0) throw wrongSize(0, expectedBytes);
  const events = zstdDecompressSync(bytes, { maxOutputLength: expectedBytes });
  if (events.length !== expectedBytes) throw wrongSize(events.length, expectedBytes);
  return events;
}

function wrongSize(bytes: number, expectedBytes: number): RangeError {
  return new RangeError(`a transaction payload has ${bytes} bytes uncompressed, not ${expectedBytes} as it says`);
}

class OnePiece implements EventPieces {
  #piece: Buffer | null;

  constructor(piece: Buffer) {
    this.#piece = piece;
  }

  next(): Buffer | null {
    const piece = this.#piece;
    this.#piece = null;
    return piece;
  }

  close(): void {
    this.#piece = null;
  }
}

/** Decompresses as much as is asked for: a payload of megabytes can hold a transaction of gigabytes. */
class ZstdPieces implements EventPieces {
  readonly #stream: ZstdDecompress;
  readonly #pieces: AsyncIterator<Buffer>;
  readonly #expectedBytes: number | null;
  #bytes = 0;

  constructor(compressed: Buffer, expectedBytes: number | null) {
    this.#expectedBytes = expectedBytes;
    this.#stream = createZstdDecompress({ chunkSize: PIECE_BYTES });
    this.#stream.end(compressed);
    this.#pieces = this.#stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  async next(): Promise<Buffer | null> {
    const piece = await this.#pieces.next();
    const expected = this.#expectedBytes;
    if (piece.done !== true) this.#bytes += piece.value.length;
    if (expected !== null && (piece.done === true ? this.#bytes !== expected : this.#bytes > expected))
      throw wrongSize(this.#bytes, expected);
    return piece.done === true ? null : piece.value;
  }

  close(): void {
    this.#stream.destroy();
  }
}
