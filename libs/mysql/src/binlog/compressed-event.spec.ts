import { deflateSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { inflateEvent } from './compressed-event.ts';
import { EventType, HEADER_BYTES, type EventBytes } from './event-header.ts';

/** A rows event of version 1 with one column, or of an update, as a plain event's head. */
function rowsHead(isUpdate: boolean): Buffer {
  return Buffer.concat([Buffer.alloc(HEADER_BYTES + 8), Buffer.of(1), Buffer.alloc(isUpdate ? 2 : 1, 0xff)]);
}

function queryHead(): Buffer {
  const fixed = Buffer.alloc(HEADER_BYTES + 13);
  fixed.writeUInt8(2, HEADER_BYTES + 8);
  fixed.writeUInt16LE(3, HEADER_BYTES + 11);
  return Buffer.concat([fixed, Buffer.from('\x01\x02\x03'), Buffer.from('db\0')]);
}

function envelope(content: Buffer, length = content.length, head = 0x84): Buffer {
  const size = Buffer.alloc(4);
  size.writeUInt32BE(length);
  return Buffer.concat([Buffer.of(head), size, deflateSync(content)]);
}

function event(...parts: readonly Buffer[]): EventBytes {
  const bytes = Buffer.concat([Buffer.from('before'), ...parts, Buffer.from('behind')]);
  return { bytes, start: 6, body: 6 + HEADER_BYTES, end: bytes.length - 6 };
}

describe('inflateEvent', () => {
  const heads = [
    [EventType.queryCompressed, EventType.query, queryHead()],
    [EventType.writeRowsCompressedV1, EventType.writeRowsV1, rowsHead(false)],
    [EventType.updateRowsCompressedV1, EventType.updateRowsV1, rowsHead(true)],
    [EventType.deleteRowsCompressedV1, EventType.deleteRowsV1, rowsHead(false)],
  ] as const;

  test.each(heads)('type %d becomes the whole event of type %d', (type, plain, head) => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 5000 }), (bytes) => {
        const content = Buffer.from(bytes);
        const inflated = inflateEvent(type, event(head, envelope(content)));
        expect(inflated?.type).toBe(plain);
        const whole = Buffer.concat([head, content]);
        whole.writeUInt8(plain, 4);
        expect(inflated?.event.bytes.equals(whole)).toBe(true);
        expect(inflated?.event).toMatchObject({ start: 0, body: HEADER_BYTES, end: head.length + content.length });
      }),
      { numRuns: 50 },
    );
  });

  test('other events are left as they are', () => {
    expect(inflateEvent(EventType.writeRows, event(rowsHead(false)))).toBeNull();
    expect(inflateEvent(EventType.mariaDbGtid, event(rowsHead(false)))).toBeNull();
  });

  const content = Buffer.alloc(1000, 'abc');
  test.each([
    ['cut off', rowsHead(false)],
    ['no compression', Buffer.concat([rowsHead(false), envelope(content, 1000, 0x04)])],
    ['an unknown algorithm', Buffer.concat([rowsHead(false), envelope(content, 1000, 0x94)])],
    ['no length', Buffer.concat([rowsHead(false), Buffer.of(0x80), deflateSync(content)])],
    ['longer than said', Buffer.concat([rowsHead(false), envelope(content, 999)])],
    ['shorter than said', Buffer.concat([rowsHead(false), envelope(content, 1001)])],
    ['of an impossible length', Buffer.concat([rowsHead(false), envelope(content, 0xffffffff)])],
    ['no zlib stream', Buffer.concat([rowsHead(false), Buffer.of(0x81, 5), Buffer.from('hello')])],
  ])('%s is an error', (_what, bytes) => {
    expect(() => inflateEvent(EventType.writeRowsCompressedV1, event(bytes))).toThrow();
  });
});
