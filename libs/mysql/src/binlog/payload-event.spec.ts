import { randomBytes } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import { type EventBytes } from './event-header.ts';
import { EventAssembler, eventSize } from './nested-events.ts';
import { openPayload } from './payload-event.ts';

function nested(size: number): Buffer {
  const bytes = randomBytes(size);
  bytes.writeUInt32LE(size, 9);
  return bytes;
}

function field(id: number, value: number): Buffer {
  const number = Buffer.alloc(9, 0xfe);
  number.writeBigUInt64LE(BigInt(value), 1);
  return Buffer.concat([Buffer.from([id, 9]), number]);
}

interface Fields {
  readonly compression?: number;
  readonly size?: number;
  readonly uncompressedSize?: number | null;
}

function payload(content: Buffer, { compression = 0, size, uncompressedSize = null }: Fields): EventBytes {
  const body = Buffer.concat([
    field(2, compression),
    ...(uncompressedSize === null ? [] : [field(3, uncompressedSize)]),
    field(200, 1),
    field(1, size ?? content.length),
    Buffer.from([0]),
    content,
  ]);
  const bytes = Buffer.concat([Buffer.alloc(19), body]);
  return { bytes, start: 0, body: 19, end: bytes.length };
}

async function sizes(event: EventBytes): Promise<number[]> {
  const pieces = openPayload(event);
  const assembler = new EventAssembler();
  const found: number[] = [];
  for (;;) {
    const piece = await pieces.next();
    if (piece === null) break;
    const whole = assembler.push(piece);
    for (let at = 0; at < whole.length; at += eventSize(whole, at)) found.push(eventSize(whole, at));
  }
  if (!assembler.isEmpty) throw new RangeError('cut off');
  return found;
}

const SMALL = [19, 100, 5_000];
const LARGE = [...SMALL, 700_000, 19, 2_000_000, 131_072, 300];

describe('the events of a payload', () => {
  test.each([
    ['small', SMALL],
    ['large', LARGE],
  ])('%s, compressed or not', async (_name, expected) => {
    const content = Buffer.concat(expected.map(nested));
    expect(await sizes(payload(content, { compression: 255 }))).toEqual(expected);
    const compressed = zstdCompressSync(content);
    expect(await sizes(payload(compressed, { uncompressedSize: content.length }))).toEqual(expected);
    expect(await sizes(payload(compressed, {}))).toEqual(expected);
  });

  test('are refused unless they are all there and no more', async () => {
    for (const content of [Buffer.concat(SMALL.map(nested)), Buffer.concat(LARGE.map(nested))]) {
      const compressed = zstdCompressSync(content);
      const broken: readonly EventBytes[] = [
        payload(compressed.subarray(0, -5), { uncompressedSize: content.length }),
        payload(compressed, { uncompressedSize: content.length - 1 }),
        payload(compressed, { uncompressedSize: content.length + 1 }),
        payload(compressed, { uncompressedSize: 0 }),
        payload(compressed, { uncompressedSize: content.length, size: compressed.length + 1 }),
        payload(compressed, { uncompressedSize: content.length, compression: 7 }),
        payload(Buffer.alloc(0), { uncompressedSize: content.length }),
        payload(Buffer.from('neither zstd nor events'), { uncompressedSize: content.length }),
        payload(content.subarray(0, -5), { compression: 255 }),
        payload(Buffer.concat([content, Buffer.alloc(19)]), { compression: 255 }),
      ];
      for (const event of broken) await expect(sizes(event)).rejects.toThrow();
    }
  });
});
