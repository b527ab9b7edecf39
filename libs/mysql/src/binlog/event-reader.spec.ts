import { crc32 } from 'node:zlib';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { type SourceItem } from '#replication';
import { type CharacterSetFacts } from '../values/charset.ts';
import { EventType } from './event-header.ts';
import { EventReader } from './event-reader.ts';
import { TableCache } from './table-cache.ts';

const facts: CharacterSetFacts = { charsetOfCollation: new Map(), maxLength: new Map(), tables: new Map() };
const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';

function event(type: number, body: Buffer, endOffset: number): Buffer {
  const header = Buffer.alloc(19);
  header.writeUInt32LE(1_700_000_000, 0);
  header.writeUInt8(type, 4);
  header.writeUInt32LE(7, 5);
  header.writeUInt32LE(19 + body.length + 4, 9);
  header.writeUInt32LE(endOffset % 2 ** 32, 13);
  const bytes = Buffer.concat([header, body]);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32LE(crc32(bytes), 0);
  return Buffer.concat([bytes, checksum]);
}

function rotate(file: string, offset: number): Buffer {
  const body = Buffer.alloc(8);
  body.writeBigUInt64LE(BigInt(offset));
  return event(EventType.rotate, Buffer.concat([body, Buffer.from(file)]), 0);
}

function gtid(number: number, endOffset: number, commitMicros = 1_700_000_000_123_456n): Buffer {
  const body = Buffer.alloc(49);
  Buffer.from(UUID.replaceAll('-', ''), 'hex').copy(body, 1);
  body.writeBigInt64LE(BigInt(number), 17);
  body.writeUInt8(2, 25);
  const micros = Buffer.alloc(8);
  micros.writeBigUInt64LE(commitMicros);
  micros.copy(body, 42, 0, 7);
  return event(EventType.gtid, body, endOffset);
}

function query(sql: string, endOffset: number, database = 'shop'): Buffer {
  const head = Buffer.alloc(13);
  head.writeUInt8(database.length, 8);
  return event(EventType.query, Buffer.concat([head, Buffer.from(`${database}\0${sql}`)]), endOffset);
}

/** A table of one TINYINT, with or without its name as FULL metadata gives it. */
function tableMap(table: string, endOffset: number, isFull = true): Buffer {
  const name = Buffer.from(`\x04shop\0${String.fromCharCode(table.length)}${table}\0`);
  const columns = Buffer.from([1, 1, 0, 0]);
  const metadata = isFull ? Buffer.from([4, 3, 2, 0x69, 0x64, 8, 1, 0]) : Buffer.alloc(0);
  const id = Buffer.from([table.length, 0, 0, 0, 0, 0, 1, 0]);
  return event(EventType.tableMap, Buffer.concat([id, name, columns, metadata]), endOffset);
}

function insert(table: string, value: number, endOffset: number): Buffer {
  return event(
    EventType.writeRows,
    Buffer.from([table.length, 0, 0, 0, 0, 0, 1, 0, 2, 0, 1, 0xff, 0, value]),
    endOffset,
  );
}

let items: SourceItem[];
let reader: EventReader;

function read(...events: readonly Buffer[]): void {
  for (const bytes of events) reader.read(bytes, 0, bytes.length);
}

beforeEach(() => {
  items = [];
  const includes = (_database: string, table: string): boolean => table !== 'excluded';
  reader = new EventReader({
    tables: new TableCache({ includes, facts, keys: {} }),
    includes,
    serverUuid: UUID,
    hasChecksums: true,
    emit: (item) => {
      items.push(item);
    },
  });
  read(rotate('binlog.000009', 4));
});

describe('offsets', () => {
  test('begin at the GTID event and end behind the commit', () => {
    read(gtid(5, 300), query('BEGIN', 380), tableMap('t', 420), insert('t', 9, 460));
    read(event(EventType.xid, Buffer.alloc(8), 500));
    expect(items[0]).toEqual({
      type: 'begin',
      transaction: {
        gtid: `${UUID}:5`,
        preparedGtid: null,
        serverId: 7,
        serverUuid: UUID,
        file: 'binlog.000009',
        offset: 300 - gtid(5, 300).length,
        commitMicros: 1_700_000_000_123_456,
      },
    });
    expect(items[1]).toMatchObject({ type: 'rows', op: 'create', before: null, firstRowIndex: 0 });
    expect((items[1] as Extract<SourceItem, { type: 'rows' }>).after?.row(0)).toEqual([9]);
    expect(items[2]).toEqual({ type: 'end', file: 'binlog.000009', endOffset: 500 });
  });

  test('go on beyond 32 bits within one file', () => {
    read(rotate('binlog.000009', 2 ** 32 - 500));
    read(gtid(5, 2 ** 32 - 100), query('BEGIN', 2 ** 32 + 50), event(EventType.xid, Buffer.alloc(8), 2 ** 32 + 90));
    read(gtid(6, 2 ** 32 + 190), query('COMMIT', 2 ** 32 + 290));
    expect(
      items.map((item) => (item.type === 'begin' ? item.transaction.offset : item.type === 'end' ? item.endOffset : 0)),
    ).toEqual([2 ** 32 - 100 - gtid(5, 0).length, 2 ** 32 + 90, 2 ** 32 + 190 - gtid(6, 0).length, 2 ** 32 + 290]);
  });

  test('are set right by a heartbeat of version 2 after transactions that were skipped', () => {
    // field 1: file, field 2: offset as a length-encoded integer of eight bytes
    const offset = Buffer.alloc(9, 0xfe);
    offset.writeBigUInt64LE(BigInt(3 * 2 ** 32 + 1000), 1);
    const file = Buffer.from('binlog.000009');
    read(
      event(
        EventType.heartbeatV2,
        Buffer.concat([Buffer.from([1, file.length]), file, Buffer.from([2, 9]), offset, Buffer.from([0, 0])]),
        0,
      ),
    );
    read(gtid(6, 3 * 2 ** 32 + 1200), query('COMMIT', 3 * 2 ** 32 + 1300));
    expect(items.at(-1)).toMatchObject({ endOffset: 3 * 2 ** 32 + 1300 });
  });
});

describe('I6: stops', () => {
  const stopOf = (...events: readonly Buffer[]): unknown => {
    try {
      read(...events);
    } catch (error) {
      return error;
    }
    return null;
  };
  const place = { file: 'binlog.000009', gtid: `${UUID}:5` };

  test('at a rollback to a savepoint behind rows of an included table', () => {
    const stop = stopOf(
      gtid(5, 300),
      query('BEGIN', 380),
      tableMap('t', 420),
      insert('t', 9, 460),
      query('ROLLBACK TO `s`', 500),
    );
    expect(stop).toMatchObject({
      code: 'DITTO_SOURCE_ROLLED_BACK_ROWS',
      retriable: false,
      context: { ...place, offset: 500 },
    });
  });

  test('at a whole rollback behind rows of an included table', () => {
    const stop = stopOf(
      gtid(5, 300),
      query('BEGIN', 380),
      tableMap('t', 420),
      insert('t', 9, 460),
      query('ROLLBACK', 500),
    );
    expect(stop).toMatchObject({ code: 'DITTO_SOURCE_ROLLED_BACK_ROWS' });
  });

  test('not at a rollback behind rows of a table that is not included', () => {
    const events = [gtid(5, 300), query('BEGIN', 380), tableMap('excluded', 420), insert('excluded', 9, 460)];
    expect(stopOf(...events, query('ROLLBACK TO `s`', 500), query('ROLLBACK', 540))).toBeNull();
    expect(items.map(({ type }) => type)).toEqual(['begin', 'end']);
  });

  test('at a table map without column names, only for included tables', () => {
    expect(
      stopOf(gtid(4, 100), query('BEGIN', 150), tableMap('excluded', 200, false), query('COMMIT', 250)),
    ).toBeNull();
    expect(stopOf(gtid(5, 300), query('BEGIN', 380), tableMap('t', 420, false))).toMatchObject({
      code: 'DITTO_SOURCE_METADATA_MINIMAL',
      context: { ...place, table: 't' },
    });
  });

  test.each([
    ['DITTO_SOURCE_ANONYMOUS_TRANSACTION', EventType.anonymousGtid],
    ['DITTO_SOURCE_INCIDENT', EventType.incident],
    ['DITTO_SOURCE_COMPRESSED_TRANSACTION', EventType.transactionPayload],
  ])('%s', (code, type) => {
    expect(stopOf(event(type, Buffer.alloc(60), 300))).toMatchObject({
      code,
      retriable: false,
      context: { file: 'binlog.000009' },
    });
  });

  test('at an event that does not match its checksum', () => {
    const broken = gtid(5, 300);
    broken.writeUInt8(broken.readUInt8(30) ^ 1, 30);
    expect(stopOf(broken)).toMatchObject({ code: 'DITTO_SOURCE_CHECKSUM_MISMATCH' });
  });

  test('at rows that do not end where their event ends', () => {
    const cut = event(EventType.writeRows, Buffer.from([1, 0, 0, 0, 0, 0, 1, 0, 2, 0, 1, 0xff, 0]), 460);
    expect(stopOf(gtid(5, 300), query('BEGIN', 380), tableMap('t', 420), cut)).toMatchObject({
      code: 'DITTO_SOURCE_EVENT_MALFORMED',
    });
  });

  test('at a statement that changes an included table, not at one that can not', () => {
    expect(stopOf(gtid(4, 100), query('DELETE FROM excluded', 150))).toBeNull();
    expect(stopOf(gtid(5, 300), query('DELETE FROM t', 380))).toMatchObject({ code: 'DITTO_SOURCE_STATEMENT_EVENT' });
  });
});

describe('layouts', () => {
  test('one object stands for all rows with the same layout, whatever their table id', () => {
    read(
      gtid(5, 300),
      query('BEGIN', 380),
      tableMap('t', 420),
      insert('t', 1, 440),
      tableMap('t', 460),
      insert('t', 2, 480),
    );
    const layouts = items.flatMap((item) => (item.type === 'rows' ? [item.layout] : []));
    expect(layouts).toHaveLength(2);
    expect(layouts[0]).toBe(layouts[1]);
    expect(layouts[0]).toMatchObject({ database: 'shop', table: 't', key: [0] });
  });
});
