import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { PacketFramer } from './packet-framer.ts';

const MAX = 0xffffff;

function header(length: number, sequence: number): Buffer {
  return Buffer.of(length & 0xff, (length >>> 8) & 0xff, length >>> 16, sequence & 0xff);
}

/** As a server writes it: payloads of 0xffffff bytes and more take several packets, the last one shorter than that. */
function encode(payloads: readonly Buffer[]): Buffer {
  const parts: Buffer[] = [];
  for (const payload of payloads) {
    for (let at = 0; at <= payload.length; at += MAX) {
      const part = payload.subarray(at, at + MAX);
      parts.push(header(part.length, parts.length / 2), part);
    }
  }
  return Buffer.concat(parts);
}

/** Chunks of their own memory, as a socket gives them. */
function cut(stream: Buffer, at: readonly number[]): Buffer[] {
  const bounds = [0, ...[...at].map((bound) => bound % (stream.length + 1)).sort((a, b) => a - b), stream.length];
  return bounds.slice(1).map((end, index) => Buffer.from(stream.subarray(bounds[index], end)));
}

/** An event packet of `length` bytes: what the framer reads of it is the size of the event. */
function eventPacket(length: number, fill: number): Buffer {
  const packet = Buffer.alloc(length, fill);
  packet[0] = 0;
  packet.writeUInt32LE(length - 1, 10);
  return packet;
}

const payload = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));

describe('PacketFramer', () => {
  test('gives the same packets however the stream is cut, and leaves what it gave as it was', () => {
    fc.assert(
      fc.property(fc.array(payload, { maxLength: 12 }), fc.array(fc.nat(), { maxLength: 20 }), (payloads, cuts) => {
        const received: Buffer[] = [];
        const framer = new PacketFramer({
          onPacket: (bytes, start, end) => received.push(bytes.subarray(start, end)),
        });
        for (const chunk of cut(encode(payloads), cuts)) framer.push(chunk);
        expect(received).toEqual(payloads);
      }),
      { numRuns: 1000 },
    );
  });

  test('gives one packet at most between pauses, and all of them in the end', () => {
    fc.assert(
      fc.property(
        fc.array(payload, { maxLength: 12 }),
        fc.array(fc.nat(), { maxLength: 20 }),
        fc.infiniteStream(fc.boolean()),
        fc.infiniteStream(fc.boolean()),
        (payloads, cuts, pauses, resumes) => {
          const received: Buffer[] = [];
          const framer = new PacketFramer({
            onPacket: (bytes, start, end) => {
              expect(framer.isPaused).toBe(false);
              received.push(bytes.subarray(start, end));
              if (pauses.next().value === true) framer.pause();
            },
          });
          for (const chunk of cut(encode(payloads), cuts)) {
            framer.push(chunk);
            while (framer.isPaused && resumes.next().value === true) framer.resume();
          }
          while (framer.isPaused) framer.resume();
          expect(received).toEqual(payloads);
        },
      ),
      { numRuns: 1000 },
    );
  });

  test('gives nothing after it is closed, not even in the middle of a chunk', () => {
    const received: string[] = [];
    const framer = new PacketFramer({
      onPacket: (bytes, start, end) => {
        received.push(bytes.toString('utf8', start, end));
        framer.close();
      },
    });
    const stream = encode([Buffer.from('a'), Buffer.from('b'), Buffer.from('c')]);
    framer.push(stream.subarray(0, 9));
    framer.push(stream.subarray(9));
    framer.resume();
    expect(received).toEqual(['a']);
  });

  test('hands on a packet that lies in one chunk without a copy', () => {
    const chunk = encode([Buffer.from('whole')]);
    let given: Buffer | null = null;
    new PacketFramer({ onPacket: (bytes) => (given = bytes) }).push(chunk);
    expect(given).toBe(chunk);
  });

  test.each([MAX - 1, MAX, MAX + 1, 2 * MAX, 2 * MAX + 5])('joins a payload of %d bytes', (length) => {
    const payloads = [eventPacket(20, 1), eventPacket(length, 7), eventPacket(30, 2)];
    const received: Buffer[] = [];
    const framer = new PacketFramer({ onPacket: (bytes, start, end) => received.push(bytes.subarray(start, end)) });
    const stream = encode(payloads);
    for (let at = 0; at < stream.length; at += 65_536) framer.push(stream.subarray(at, at + 65_536));
    expect(received.map((packet) => packet.length)).toEqual(payloads.map((packet) => packet.length));
    expect(received.every((packet, index) => packet.equals(payloads[index] as Buffer))).toBe(true);
  });

  test('joins what lies about its size by what really comes', () => {
    for (const claimed of [5, 0xffffffff]) {
      const packet = eventPacket(2 * MAX + 100, 9);
      packet.writeUInt32LE(claimed, 10);
      let received = 0;
      new PacketFramer({ onPacket: (_, start, end) => (received = end - start) }).push(encode([packet]));
      expect(received).toBe(packet.length);
    }
  });

  test('copies a long packet once: its time grows with its length', () => {
    const packet = eventPacket(8 * 2 ** 20, 3);
    const stream = encode([packet]);
    const chunks: Buffer[] = [];
    for (let at = 0; at < stream.length; at += 1024) chunks.push(stream.subarray(at, at + 1024));
    const copied = countCopies(() => {
      const framer = new PacketFramer({ onPacket: () => undefined });
      for (const chunk of chunks) framer.push(chunk);
    });
    expect(copied).toBe(packet.length);
  });
});

/** Bytes that `Buffer.copy` moves during `run`. */
function countCopies(run: () => void): number {
  const prototype = Buffer.prototype as { copy: Buffer['copy'] };
  const copy = prototype.copy;
  let bytes = 0;
  prototype.copy = function (this: Buffer, ...parameters: Parameters<Buffer['copy']>): number {
    const moved = copy.apply(this, parameters);
    bytes += moved;
    return moved;
  };
  try {
    run();
  } finally {
    prototype.copy = copy;
  }
  return bytes;
}
