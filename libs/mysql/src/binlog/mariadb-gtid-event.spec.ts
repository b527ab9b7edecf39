import { describe, expect, test } from '@jest/globals';
import { HEADER_BYTES, type EventBytes } from './event-header.ts';
import { parseMariaDbGtidEvent } from './mariadb-gtid-event.ts';

function event(flags: number, rest = Buffer.alloc(6), sequence = 101n): EventBytes {
  const bytes = Buffer.alloc(HEADER_BYTES + 13);
  bytes.writeUInt32LE(7, 5);
  bytes.writeBigUInt64LE(sequence, HEADER_BYTES);
  bytes.writeUInt32LE(3, HEADER_BYTES + 8);
  bytes.writeUInt8(flags, HEADER_BYTES + 12);
  const all = Buffer.concat([bytes, rest]);
  return { bytes: all, start: 0, body: HEADER_BYTES, end: all.length };
}

/** Format 1, `ab` and `c`. */
const xid = Buffer.concat([Buffer.of(1, 0, 0, 0, 2, 1), Buffer.from('abc')]);

describe('parseMariaDbGtidEvent', () => {
  test.each([
    ['a transaction', event(0x04), { gtid: '3-7-101', begins: true, preparedXa: null }],
    ['a statement', event(0x01 | 0x20), { gtid: '3-7-101', begins: false, preparedXa: null }],
    ['a high number', event(0x04, Buffer.alloc(6), 2n ** 40n + 5n), { gtid: '3-7-1099511627781', begins: true }],
    ['XA, prepared', event(0x44, xid), { begins: true, preparedXa: "x'6162',x'63',1" }],
    [
      'XA, prepared in a group commit',
      event(0x46, Buffer.concat([Buffer.alloc(8, 9), xid])),
      { preparedXa: "x'6162',x'63',1" },
    ],
    ['XA, decided', event(0x81, xid), { begins: false, preparedXa: null }],
  ])('%s', (_what, bytes, expected) => {
    expect(parseMariaDbGtidEvent(bytes)).toMatchObject(expected);
  });

  test('what is cut off is refused, whatever lies after it', () => {
    const plain = event(0x04);
    for (let end = plain.body; end < plain.body + 13; end++)
      expect(() => parseMariaDbGtidEvent({ ...plain, end })).toThrow();
    const whole = event(0x46, Buffer.concat([Buffer.alloc(8, 9), xid]));
    for (let end = whole.body; end < whole.end; end++) expect(() => parseMariaDbGtidEvent({ ...whole, end })).toThrow();
  });
});
