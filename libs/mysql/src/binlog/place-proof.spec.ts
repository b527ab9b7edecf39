import { beforeEach, describe, expect, test } from '@jest/globals';
import { type SourceItem } from '#replication';
import { DittoError } from '#kernel';
import { anonymous, event, gtid, insert, query, rotate, tableMap, UUID } from '../../test/log-events.ts';
import { type CharacterSetFacts } from '../values/charset.ts';
import { EventType } from './event-header.ts';
import { EventReader } from './event-reader.ts';
import { PlaceProof } from './place-proof.ts';
import { columnRules } from '../layout/column-choice.ts';
import { TableCache } from './table-cache.ts';

const FILE = 'binlog.000009';
const GTID_BYTES = gtid(5, 0).length;
const ARTIFICIAL = 0x20;
const facts: CharacterSetFacts = { charsetOfCollation: new Map(), maxLength: new Map(), tables: new Map() };
let items: SourceItem[];

beforeEach(() => {
  items = [];
});

/** A reader of a stream that starts at `offset`, whose dump began at `dumpOffset` and has said so. */
function startAt(offset: number, dumpOffset = offset): { reader: EventReader; proof: PlaceProof } {
  const proof = new PlaceProof({ file: FILE, offset }, dumpOffset);
  const includes = (): boolean => true;
  const reader = new EventReader({
    tables: new TableCache({ includes, facts, kind: 'mysql', rules: columnRules({}) }),
    characterSets: facts,
    includes,
    serverUuid: UUID,
    emit: (item) => {
      items.push(item);
    },
    place: proof,
  });
  reader.expectChecksums(true);
  read(reader, made(FILE, dumpOffset));
  return { reader, proof };
}

/** The rotate event that the server makes up. */
function made(file: string, offset: number): Buffer {
  const name = rotate(file, offset);
  return event(EventType.rotate, name.subarray(19, -4), 0, ARTIFICIAL);
}

function read(reader: EventReader, ...events: readonly Buffer[]): void {
  for (const bytes of events) reader.read(bytes, 0, bytes.length);
}

function stopOf(reader: EventReader, ...events: readonly Buffer[]): unknown {
  try {
    read(reader, ...events);
  } catch (error) {
    return error;
  }
  return null;
}

function refused(offset: number): unknown {
  return expect.objectContaining({
    code: 'DITTO_SOURCE_PLACE_INVALID',
    retriable: false,
    context: { file: FILE, offset, gtid: null },
  });
}

function places(): unknown[] {
  return items.map((item) =>
    item.type === 'begin' ? item.transaction.offset : item.type === 'end' ? item.endOffset : item.type,
  );
}

describe('a stream by file and offset', () => {
  test('gives transactions without a GTID, with their places and commit times', () => {
    const { reader, proof } = startAt(300);
    read(reader, anonymous(300 + GTID_BYTES), query('BEGIN', 420), tableMap('t', 460), insert('t', 9, 500));
    read(reader, event(EventType.xid, Buffer.alloc(8), 540), gtid(6, 540 + GTID_BYTES), query('COMMIT', 700));
    expect(proof.isProven).toBe(true);
    expect(items[0]).toEqual({
      type: 'begin',
      transaction: {
        gtid: null,
        preparedGtid: null,
        serverId: 7,
        serverUuid: UUID,
        file: FILE,
        offset: 300,
        commitMicros: 1_700_000_000_123_456,
      },
    });
    expect(items.flatMap((item) => (item.type === 'begin' ? [item.transaction.gtid] : []))).toEqual([
      null,
      `${UUID}:6`,
    ]);
    expect(places()).toEqual([300, 'rows', 540, 540, 700]);
  });

  test('starts beyond 4 GiB where the server takes 64 bits', () => {
    const place = 2 ** 32 + 1000;
    const { reader, proof } = startAt(place);
    read(reader, anonymous(place + GTID_BYTES), query('COMMIT', place + 200));
    expect(proof.isProven).toBe(true);
    expect(places()).toEqual([place, place + 200]);
  });

  test('starts beyond 4 GiB where the dump has to begin at the head of the file', () => {
    const place = 3 * 2 ** 32 + 90;
    const { reader, proof } = startAt(place, 4);
    const next = event(EventType.rotate, rotate('binlog.000010', 4).subarray(19, -4), place + 400);
    read(reader, event(EventType.previousGtids, Buffer.alloc(8), 150));
    for (let gib = 1; gib <= 11; gib++) read(reader, anonymous(gib * 2 ** 30), query('COMMIT', gib * 2 ** 30 + 500));
    read(reader, anonymous(3 * 2 ** 32 - 400), query('BEGIN', 3 * 2 ** 32 - 300), tableMap('t', 3 * 2 ** 32 - 200));
    read(reader, insert('t', 9, 3 * 2 ** 32 - 10), event(EventType.xid, Buffer.alloc(8), place));
    expect([proof.isProven, items]).toEqual([false, []]);
    read(reader, anonymous(place + GTID_BYTES), query('COMMIT', place + 300), next, made('binlog.000010', 4));
    read(reader, gtid(7, 300 + GTID_BYTES), query('COMMIT', 500));
    expect(places()).toEqual([place, place + 300, 300, 500]);
    expect(items.at(-1)).toMatchObject({ file: 'binlog.000010' });
  });

  test('starts at the end of a file with the next file', () => {
    const { reader, proof } = startAt(5000);
    read(reader, made('binlog.000010', 4), anonymous(300 + GTID_BYTES), query('COMMIT', 500));
    expect(proof.isProven).toBe(true);
    expect(items[0]).toMatchObject({ transaction: { file: 'binlog.000010', offset: 300 } });
  });

  test('starts at the head of a file, whatever is there first', () => {
    const { reader } = startAt(4);
    read(reader, event(EventType.previousGtids, Buffer.alloc(8), 150), anonymous(300), query('COMMIT', 500));
    expect(places()).toEqual([300 - GTID_BYTES, 500]);
  });
});

describe('a place is refused', () => {
  test('where an event says that it begins elsewhere', () => {
    expect(stopOf(startAt(300).reader, anonymous(301 + GTID_BYTES))).toEqual(refused(300));
    expect(stopOf(startAt(300).reader, anonymous(299 + GTID_BYTES))).toEqual(refused(300));
    // the same in its lower 32 bits
    expect(stopOf(startAt(2 ** 32 + 300).reader, anonymous(2 ** 32 + 301 + GTID_BYTES))).toEqual(
      refused(2 ** 32 + 300),
    );
  });

  test('where bytes are no event', () => {
    const damaged = anonymous(300 + GTID_BYTES);
    damaged.writeUInt8(1, 40);
    expect(stopOf(startAt(300).reader, damaged)).toEqual(refused(300));
    expect(stopOf(startAt(300).reader, Buffer.alloc(10))).toEqual(refused(300));
    expect(stopOf(startAt(300).reader, event(EventType.formatDescription, Buffer.alloc(9), 0))).toEqual(refused(300));
  });

  test('inside a transaction', () => {
    const inside = [
      query('BEGIN', 300 + query('BEGIN', 0).length),
      event(EventType.xid, Buffer.alloc(8), 331),
      insert('t', 9, 300 + insert('t', 9, 0).length),
      event(EventType.transactionPayload, Buffer.from([0]), 324),
    ];
    for (const first of inside) expect(stopOf(startAt(300).reader, first)).toEqual(refused(300));
    const map = tableMap('t', 300 + tableMap('t', 0).length);
    expect(stopOf(startAt(300).reader, map, insert('t', 9, 400))).toEqual(refused(300));
  });

  test('inside an event, when the dump begins before', () => {
    const { reader } = startAt(2 ** 32 + 90, 4);
    read(reader, anonymous(2 ** 32 - 400));
    expect(stopOf(reader, query('COMMIT', 2 ** 32 + 91))).toEqual(refused(2 ** 32 + 90));
    expect(items).toEqual([]);
  });

  test('after the end of the log', () => {
    const ending = (...events: readonly Buffer[]): unknown =>
      stopOf(startAt(5000, 4).reader, anonymous(300), ...events);
    expect(ending(made('binlog.000010', 4))).toEqual(refused(5000));
    expect(ending(event(EventType.heartbeat, Buffer.from(FILE), 300))).toEqual(refused(5000));
    expect(ending(query('COMMIT', 5000), event(EventType.heartbeat, Buffer.from(FILE), 5000))).toBeNull();
  });

  test('but not for another reason that a stream stops for, and not once it is proven', () => {
    expect(stopOf(startAt(300).reader, event(EventType.incident, Buffer.alloc(2), 325))).toMatchObject({
      code: 'DITTO_SOURCE_INCIDENT',
    });
    const { reader, proof } = startAt(300);
    const lost = new DittoError('DITTO_SOURCE_CONNECTION_LOST', 'lost', { retriable: true });
    const unreadable = new DittoError('DITTO_SOURCE_LOG_UNREADABLE', 'bogus data in log event');
    expect(proof.explain(lost)).toBe(lost);
    expect(proof.explain(unreadable)).toEqual(refused(300));
    read(reader, anonymous(300 + GTID_BYTES), query('COMMIT', 500));
    expect(proof.explain(unreadable)).toBe(unreadable);
    expect(stopOf(reader, query('BEGIN', 600))).toMatchObject({ code: 'DITTO_SOURCE_EVENT_MALFORMED' });
  });
});
