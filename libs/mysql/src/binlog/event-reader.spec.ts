import { beforeEach, describe, expect, test } from '@jest/globals';
import { type SourceItem } from '#replication';
import { columnRules } from '../layout/column-choice.ts';
import { type CharacterSetFacts } from '../values/charset.ts';
import {
  deleteRows,
  event,
  formatDescription,
  gtid,
  insert,
  insertRows,
  nested,
  query,
  rotate,
  tableMap,
  updateRows,
  UUID,
} from '../../test/log-events.ts';
import { EventType } from './event-header.ts';
import { EventReader } from './event-reader.ts';
import { EventAssembler, eventSize } from './nested-events.ts';
import { PlaceProof } from './place-proof.ts';
import { TableCache } from './table-cache.ts';

const LATIN1 = 8;
const latin1 = { one: Uint16Array.from({ length: 256 }, (_, byte) => byte), two: null, three: null, four: null };
const facts: CharacterSetFacts = {
  charsetOfCollation: new Map([
    [LATIN1, 'latin1'],
    [63, 'binary'],
    [255, 'utf8mb4'],
  ]),
  maxLength: new Map(),
  tables: new Map([['latin1', { table: latin1, keyTable: latin1 }]]),
};
let items: SourceItem[];
let reader: EventReader;

function read(...events: readonly Buffer[]): void {
  for (const bytes of events) reader.read(bytes, 0, bytes.length);
}

function startReader(place: PlaceProof | null = null, maxRowBytes?: number): void {
  items = [];
  const includes = (_database: string, table: string): boolean => table !== 'excluded';
  reader = new EventReader({
    tables: new TableCache({ includes, facts, kind: 'mysql', rules: columnRules({}) }),
    characterSets: facts,
    includes,
    serverUuid: UUID,
    emit: (item) => {
      items.push(item);
    },
    place,
    ...(maxRowBytes === undefined ? {} : { maxRowBytes }),
  });
  reader.expectChecksums(true);
  read(rotate('binlog.000009', 4));
}

beforeEach(() => {
  startReader();
});

describe('offsets', () => {
  test('begin at the GTID event and end after the commit', () => {
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

  test('continue beyond 32 bits within one file', () => {
    read(rotate('binlog.000009', 2 ** 32 - 500));
    read(gtid(5, 2 ** 32 - 100), query('BEGIN', 2 ** 32 + 50), event(EventType.xid, Buffer.alloc(8), 2 ** 32 + 90));
    read(gtid(6, 2 ** 32 + 190), query('COMMIT', 2 ** 32 + 290));
    expect(
      items.map((item) => (item.type === 'begin' ? item.transaction.offset : item.type === 'end' ? item.endOffset : 0)),
    ).toEqual([2 ** 32 - 100 - gtid(5, 0).length, 2 ** 32 + 90, 2 ** 32 + 190 - gtid(6, 0).length, 2 ** 32 + 290]);
  });

  test('are not moved by the format description, which is at the beginning of its file', () => {
    read(rotate('binlog.000009', 2 ** 32 + 500), formatDescription(1));
    read(gtid(5, 2 ** 32 + 700), query('COMMIT', 2 ** 32 + 800));
    expect(items.at(-1)).toMatchObject({ endOffset: 2 ** 32 + 800 });
  });

  test('are not moved by a heartbeat of version 1, which is in no file', () => {
    read(gtid(5, 300), event(EventType.heartbeat, Buffer.from('binlog.000009'), 900), query('COMMIT', 380));
    expect(items.at(-1)).toMatchObject({ endOffset: 380 });
  });

  test('of another file begin with the file', () => {
    read(rotate('binlog.000010', 4), gtid(5, 300), query('COMMIT', 380));
    expect(items.at(-1)).toEqual({ type: 'end', file: 'binlog.000010', endOffset: 380 });
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

describe('rows', () => {
  type Rows = Extract<SourceItem, { type: 'rows' }>;
  const shown = (): unknown[] =>
    items
      .filter((item): item is Rows => item.type === 'rows')
      .map(({ op, before, after, firstRowIndex }) => ({
        ...{ op, firstRowIndex },
        before: Array.from({ length: before?.count ?? 0 }, (_, i) => before?.row(i)),
        after: Array.from({ length: after?.count ?? 0 }, (_, i) => after?.row(i)),
      }));

  test('I3: are counted through the transaction, each image in its place, also of tables that are not included', () => {
    const swap = [
      [1, 2],
      [2, 1],
    ] as const;
    read(gtid(5, 300), query('BEGIN', 380), tableMap('t', 420), tableMap('excluded', 440));
    read(insertRows('t', [1, 2, 3], 460), updateRows('excluded', swap, 480), updateRows('t', swap, 500));
    read(deleteRows('excluded', [7, 8, 9], 520), deleteRows('t', [2, 1], 540), insertRows('t', [4], 560));
    expect(shown()).toEqual([
      { op: 'create', firstRowIndex: 0, before: [], after: [[1], [2], [3]] },
      { op: 'update', firstRowIndex: 5, before: [[1], [2]], after: [[2], [1]] },
      { op: 'delete', firstRowIndex: 10, before: [[2], [1]], after: [] },
      { op: 'create', firstRowIndex: 12, before: [], after: [[4]] },
    ]);
  });

  test('I3: those after a savepoint are counted on from those before it, without those that were rolled back', async () => {
    startReader(new PlaceProof({ file: 'binlog.000009', offset: 4 }, 4));
    read(event(EventType.anonymousGtid, gtid(5, 300).subarray(19, -4), 300), query('BEGIN', 380), tableMap('t', 420));
    read(insertRows('t', [1, 2], 460), query('SAVEPOINT a', 480), insertRows('t', [3, 4], 500));
    read(query('SAVEPOINT b', 520), insertRows('t', [5], 540), query('ROLLBACK TO b', 560), insertRows('t', [6], 580));
    read(event(EventType.xid, Buffer.alloc(8), 600));
    await readNested();
    expect(shown()).toEqual([
      { op: 'create', firstRowIndex: 0, before: [], after: [[1], [2]] },
      { op: 'create', firstRowIndex: 2, before: [], after: [[3], [4]] },
      { op: 'create', firstRowIndex: 4, before: [], after: [[6]] },
    ]);
    expect(items.map(({ type }) => type)).toEqual(['begin', 'rows', 'rows', 'rows', 'end']);
  });

  test('after a savepoint of a transaction with a GTID are given at once: MySQL logs none that it rolled back', () => {
    read(gtid(5, 300), query('BEGIN', 380), tableMap('t', 420), query('SAVEPOINT a', 440), insertRows('t', [1], 460));
    expect(shown()).toEqual([{ op: 'create', firstRowIndex: 0, before: [], after: [[1]] }]);
  });

  test('I3: in a payload are counted as in any transaction, whatever the headers inside say', async () => {
    const inside = [
      ...[query('BEGIN', 380), tableMap('t', 420), tableMap('excluded', 440), insertRows('t', [1, 2], 460)],
      ...[updateRows('excluded', [[1, 2]], 480), deleteRows('t', [2], 500), event(EventType.xid, Buffer.alloc(8), 520)],
    ];
    const events = Buffer.concat(inside.map(nested));
    // compression: none; the size; the end of the fields
    const fields = Buffer.of(2, 3, 0xfc, 255, 0, 1, 3, 0xfc, events.length & 0xff, events.length >> 8, 0);
    read(gtid(5, 300), event(EventType.transactionPayload, Buffer.concat([fields, events]), 900));
    await readNested();
    expect(shown()).toEqual([
      { op: 'create', firstRowIndex: 0, before: [], after: [[1], [2]] },
      { op: 'delete', firstRowIndex: 3, before: [[2]], after: [] },
    ]);
    expect(items.at(-1)).toMatchObject({ type: 'end', endOffset: 900 });
  });

  test('I3: of an XA transaction are given at its commit, counted from 0, with both GTIDs', async () => {
    read(gtid(5, 300), query("XA START X'61',X'',1", 380), tableMap('t', 420), insertRows('t', [1, 2], 460));
    read(tableMap('excluded', 470), insertRows('excluded', [1, 2, 3], 480), insertRows('t', [3, 4], 490));
    read(query('DROP TEMPORARY TABLE u', 495));
    read(query("XA END X'61',X'',1", 500), event(EventType.xaPrepare, Buffer.from([0]), 520));
    expect(items).toEqual([{ type: 'prepared', gtid: `${UUID}:5` }]);
    read(gtid(6, 600), query("XA COMMIT X'61',X'',1", 700));
    await readNested();
    expect(items[1]).toMatchObject({ transaction: { gtid: `${UUID}:6`, preparedGtid: `${UUID}:5` } });
    expect(shown()).toEqual([
      { op: 'create', firstRowIndex: 0, before: [], after: [[1], [2]] },
      { op: 'create', firstRowIndex: 5, before: [], after: [[3], [4]] },
    ]);
    expect(items.at(-1)).toMatchObject({ type: 'end', endOffset: 700 });
  });

  test('I3: of an XA transaction belong to its tables, although a table id means another one at the commit', async () => {
    read(gtid(5, 300), query("XA START X'61',X'',1", 380), tableMap('t', 420), insertRows('t', [1], 460));
    read(query("XA END X'61',X'',1", 500), event(EventType.xaPrepare, Buffer.from([0]), 520));
    read(gtid(6, 600), query('BEGIN', 620), tableMap('u', 640), event(EventType.xid, Buffer.alloc(8), 660));
    read(gtid(7, 700), query("XA COMMIT X'61',X'',1", 800));
    await readNested();
    const tables = items.flatMap((item) => (item.type === 'rows' ? [item.layout.table] : []));
    expect([tables, shown()]).toEqual([['t'], [{ op: 'create', firstRowIndex: 0, before: [], after: [[1]] }]]);
  });

  test('I6: of an XA transaction that was rolled back are not given; a commit of one that is not known stops', async () => {
    read(gtid(5, 300), query("XA START X'61',X'',1", 380), tableMap('t', 420), insertRows('t', [1, 2], 460));
    read(query("XA END X'61',X'',1", 500), event(EventType.xaPrepare, Buffer.from([0]), 520));
    read(gtid(6, 600), query("XA ROLLBACK X'61',X'',1", 700));
    await readNested();
    expect([shown(), items.at(-1)?.type]).toEqual([[], 'end']);
    expect(() => read(gtid(7, 800), query("XA COMMIT X'61',X'',1", 900))).toThrow(
      expect.objectContaining({ code: 'DITTO_SOURCE_XA_UNKNOWN' }),
    );
  });

  test('I3: of an XA transaction that commits in one phase are given at once', async () => {
    read(gtid(5, 300), query("XA START X'61',X'',1", 380), tableMap('t', 420), insertRows('t', [1, 2], 460));
    read(query("XA END X'61',X'',1", 500), event(EventType.xaPrepare, Buffer.from([1]), 520));
    await readNested();
    expect(shown()).toEqual([{ op: 'create', firstRowIndex: 0, before: [], after: [[1], [2]] }]);
    expect(items.at(-1)).toMatchObject({ type: 'end', endOffset: 520 });
  });
});

/** Reads what the last event represents. */
async function readNested(): Promise<void> {
  const found = reader.takeNested();
  if (found === null) return;
  const assembler = new EventAssembler();
  for (let piece = await found.pieces.next(); piece !== null; piece = await found.pieces.next()) {
    const events = assembler.push(piece);
    for (let at = 0; at < events.length; at += eventSize(events, at))
      reader.readNested(events, at, at + eventSize(events, at));
  }
  found.onEnd();
}

describe('GTIDs', () => {
  test.each([
    ['a number beyond 32 bits', gtid(2 ** 40 + 5, 300), `${UUID}:${2 ** 40 + 5}`, 1_700_000_000_123_456],
    ['the time of the first commit', gtid(5, 300, (1n << 55n) | 7n), `${UUID}:5`, 0],
  ])('%s', (_, bytes, expected, commitMicros) => {
    // with the flag, the time of the first commit follows; here it is cut off, and the header's second counts
    read(bytes, query('COMMIT', 400));
    const seconds = 1_700_000_000_000_000;
    expect(items[0]).toMatchObject({ transaction: { gtid: expected, commitMicros: commitMicros || seconds } });
  });

  test('of two servers by turns belong to their servers', () => {
    const other = gtid(9, 500).subarray(19, -4);
    other.fill(0xab, 1, 17);
    read(gtid(5, 300), query('COMMIT', 400), event(EventType.gtid, other, 500), query('COMMIT', 600), gtid(6, 700));
    read(query('COMMIT', 800));
    const ids = items.flatMap((item) => (item.type === 'begin' ? [item.transaction.gtid] : []));
    expect(ids).toEqual([`${UUID}:5`, 'abababab-abab-abab-abab-abababababab:9', `${UUID}:6`]);
  });

  test('the time of the first commit counts where another server has committed since', () => {
    const time = (micros: bigint): Buffer => {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64LE(micros);
      return bytes.subarray(0, 7);
    };
    const head = gtid(5, 300).subarray(19, 19 + 42);
    const body = Buffer.concat([head, time((1n << 55n) | 1_800_000_000_000_000n), time(1_700_000_000_000_001n)]);
    read(event(EventType.gtid, body, 300), query('COMMIT', 400));
    expect(items[0]).toMatchObject({ transaction: { commitMicros: 1_700_000_000_000_001 } });
  });
});

describe('statements', () => {
  const flags = [0, 0, 0, 0, 0];
  const catalog = [6, 3, ...Buffer.from('std')];
  const increment = [3, 1, 0, 1, 0];
  const sqlMode = (bits: number): number[] => [1, bits & 0xff, (bits >> 8) & 0xff, bits >> 16, 0, 0, 0, 0, 0];
  const charset = (collation: number): number[] => [4, collation, 0, 255, 0, 255, 0];
  const laterOnes = [7, 1, 0, 12, 3, 0x61, 0x62, 0];

  function statement(text: Buffer, ...variables: readonly number[]): Extract<SourceItem, { type: 'statement' }> {
    const head = Buffer.alloc(13);
    head.writeUInt8(4, 8);
    head.writeUInt16LE(variables.length, 11);
    const body = Buffer.concat([head, Buffer.from(variables), Buffer.from('shop\0'), text]);
    read(gtid(5, 300), event(EventType.query, body, 400));
    const found = items.find((item) => item.type === 'statement');
    if (found === undefined) throw new Error('no statement');
    return found;
  }

  test.each([
    ['latin1', 'TRUNCATE größe', Buffer.from('TRUNCATE größe', 'latin1'), charset(LATIN1)],
    ['utf8mb4', 'TRUNCATE größe', Buffer.from('TRUNCATE größe'), charset(255)],
    ['no character set', 'TRUNCATE größe', Buffer.from('TRUNCATE größe'), []],
    ['binary', 'TRUNCATE größe', Buffer.from('TRUNCATE größe'), charset(63)],
    ['an unknown one', 'TRUNCATE größe', Buffer.from('TRUNCATE größe'), charset(99)],
    ['utf8mb4 with bytes that are no text', "SET x = '\ufffd'", Buffer.from("SET x = '\xff'", 'latin1'), charset(255)],
  ])('I6: are read in the character set of their client: %s', (_, sql, text, variables) => {
    expect(statement(text, ...flags, ...sqlMode(0), ...catalog, ...increment, ...variables, ...laterOnes)).toEqual({
      type: 'statement',
      database: 'shop',
      sql,
      sqlMode: { hasAnsiQuotes: false, hasEscapes: true },
    });
  });

  test.each([
    ['ANSI_QUOTES', 0x4, { hasAnsiQuotes: true, hasEscapes: true }],
    ['NO_BACKSLASH_ESCAPES', 0x100000, { hasAnsiQuotes: false, hasEscapes: false }],
    ['others', ~0x100004 & 0xffffff, { hasAnsiQuotes: false, hasEscapes: true }],
  ])('give the sql_mode of their session: %s', (_, bits, expected) => {
    expect(statement(Buffer.from('TRUNCATE t'), ...flags, ...sqlMode(bits)).sqlMode).toEqual(expected);
  });

  test('with status variables that are cut off stop the stream', () => {
    expect(() => statement(Buffer.from('TRUNCATE t'), ...flags, 1, 4)).toThrow(/status variables/);
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

  test('at the end of an XA transaction whose rows are held and that was neither prepared nor decided', () => {
    const begun = [gtid(5, 300), query("XA START X'61',X'',1", 380), tableMap('t', 420), insert('t', 9, 460)];
    const stop = stopOf(...begun, event(EventType.xid, Buffer.alloc(8), 500));
    expect(stop).toMatchObject({ code: 'DITTO_SOURCE_EVENT_MALFORMED', retriable: false, context: place });
    expect(items).toEqual([]);
  });

  test('at a rollback to a savepoint after rows of an included table', () => {
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

  test.each([
    ['', [], 'ROLLBACK'],
    [' and a statement', [query('TRUNCATE u', 480)], 'ROLLBACK'],
    [', of an XA transaction', [], "XA ROLLBACK X'61',X'',1"],
  ])('at a whole rollback behind rows of an included table%s', (_, behind, sql) => {
    const stop = stopOf(
      gtid(5, 300),
      query('BEGIN', 380),
      tableMap('t', 420),
      insert('t', 9, 460),
      ...behind,
      query(sql, 500),
    );
    expect(stop).toMatchObject({ code: 'DITTO_SOURCE_ROLLED_BACK_ROWS' });
  });

  describe('of a transaction without a GTID, whose rows wait for its end', () => {
    const begun = [event(EventType.anonymousGtid, gtid(5, 300).subarray(19, -4), 300), query('BEGIN', 380)];

    beforeEach(() => startReader(new PlaceProof({ file: 'binlog.000009', offset: 4 }, 4)));

    test('not at its rollback', () => {
      const rows = [tableMap('t', 420), insert('t', 9, 460), query('SAVEPOINT s', 480), insert('t', 10, 500)];
      expect(stopOf(...begun, ...rows, query('ROLLBACK', 520))).toBeNull();
      expect(items.map(({ type }) => type)).toEqual(['begin', 'end']);
    });

    test('not at a statement after a savepoint, which is given', () => {
      expect(stopOf(...begun, query('SAVEPOINT s', 400), query('TRUNCATE u', 420), query('COMMIT', 500))).toBeNull();
      expect(items.map(({ type }) => type)).toEqual(['begin', 'statement', 'end']);
    });

    test('at a rollback to a savepoint that the log does not show', () => {
      const rows = [tableMap('t', 420), insert('t', 9, 460)];
      expect(stopOf(...begun, ...rows, query('ROLLBACK TO s', 500))).toMatchObject({
        code: 'DITTO_SOURCE_ROLLED_BACK_ROWS',
      });
      expect(items).toEqual([]);
    });

    test('I9: at its rollback after more rows than may wait, which count as held when they are given', () => {
      const most = 4 * 1024 * 1024;
      const rows = insertRows('t', Array<number>(50_000).fill(1), 460);
      read(...begun, tableMap('t', 420));
      let waiting = 0;
      let held = 0;
      for (; held === 0 && waiting < 2 * most; waiting += rows.length) held = reader.read(rows, 0, rows.length);
      expect(Math.abs(waiting - most)).toBeLessThanOrEqual(2 * rows.length);
      expect(held).toBeGreaterThanOrEqual(waiting);
      expect(held).toBeLessThan(waiting + 2 * rows.length);
      expect(items).toHaveLength(1 + waiting / rows.length);
      expect(reader.read(rows, 0, rows.length)).toBe(rows.length);
      expect(stopOf(query('ROLLBACK', 500))).toMatchObject({ code: 'DITTO_SOURCE_ROLLED_BACK_ROWS' });
    });

    test('I9: rows that wait count when the transaction ends', () => {
      const rows = [insert('t', 9, 460), insertRows('t', [1, 2, 3], 480)];
      const end = event(EventType.xid, Buffer.alloc(8), 500);
      read(...begun, tableMap('t', 420));
      expect(rows.map((bytes) => reader.read(bytes, 0, bytes.length))).toEqual([0, 0]);
      const bytes = rows.reduce((sum, { length }) => sum + length, end.length);
      const held = reader.read(end, 0, end.length);
      expect(held).toBeGreaterThan(bytes);
      expect(held).toBeLessThan(bytes + 2 * 1024);
    });

    test('not at a rollback to one of the newest savepoints, however many were set', () => {
      const set = (count: number): Buffer[] => Array.from({ length: count }, (_, i) => query(`SAVEPOINT s${i}`, 480));
      read(...begun, tableMap('t', 420), insert('t', 1, 460), ...set(10_001));
      expect(stopOf(insert('t', 2, 490), query('ROLLBACK TO s1', 500))).toBeNull();
      expect(stopOf(query('ROLLBACK TO s0', 520))).toMatchObject({ code: 'DITTO_SOURCE_ROLLED_BACK_ROWS' });
    });
  });

  test('not at a whole rollback after a statement only', () => {
    expect(stopOf(gtid(5, 300), query('BEGIN', 380), query('TRUNCATE u', 420), query('ROLLBACK', 500))).toBeNull();
  });

  test('not at a rollback after rows of a table that is not included', () => {
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
  ])('%s', (code, type) => {
    expect(stopOf(event(type, Buffer.alloc(60), 300))).toMatchObject({
      code,
      retriable: false,
      context: { file: 'binlog.000009' },
    });
  });

  test('at an event that is not known, unless its writer says that it may be passed over', () => {
    const unknown = (flags: number): Buffer => event(99, Buffer.alloc(8), 300, flags);
    expect(stopOf(unknown(0x80))).toBeNull();
    expect(stopOf(unknown(0x0f))).toMatchObject({
      code: 'DITTO_SOURCE_EVENT_UNKNOWN',
      message: expect.stringContaining('type 99'),
      retriable: false,
      context: { file: 'binlog.000009', offset: 300 },
    });
  });

  test.each([
    ['stop', EventType.stop],
    ['previous GTIDs', EventType.previousGtids],
    ['the text of a statement', EventType.rowsQuery],
    ['a heartbeat', EventType.heartbeat],
    ['a change of the group', EventType.viewChange],
  ])('not at %s', (_name, type) => {
    expect(stopOf(event(type, Buffer.alloc(60), 300))).toBeNull();
    expect(items).toEqual([]);
  });

  test('at an event with a checksum after a format description that says there are none: that one was damaged', () => {
    const broken = gtid(6, 500);
    broken.writeUInt8(broken.readUInt8(30) ^ 1, 30);
    expect(stopOf(formatDescription(0), gtid(5, 300))).toMatchObject({ code: 'DITTO_SOURCE_CHECKSUM_MISMATCH' });
    startReader();
    expect(stopOf(formatDescription(0), nested(gtid(5, 300)), nested(query('COMMIT', 400)))).toBeNull();
    expect(items.at(-1)).toMatchObject({ type: 'end' });
    expect(stopOf(formatDescription(1), broken)).toMatchObject({ code: 'DITTO_SOURCE_CHECKSUM_MISMATCH' });
  });

  test.each([
    ['an algorithm that is not known', formatDescription(2)],
    ['no algorithm', formatDescription(255)],
    ['another version of the format', formatDescription(0, 3)],
    ['a version that is not a version of a server', formatDescription(0, 4, 'x.7.4')],
    ['a header of another size', formatDescription(0, 4, '9.7.4', 20)],
  ])('at a format description with %s: no damaged event switches checksums off', (_, bytes) => {
    expect(stopOf(bytes)).toMatchObject({ code: 'DITTO_SOURCE_EVENT_MALFORMED' });
  });

  test('at a format description inside a transaction', () => {
    expect(stopOf(gtid(5, 300), query('BEGIN', 380), formatDescription(0))).toMatchObject({
      code: 'DITTO_SOURCE_EVENT_MALFORMED',
    });
  });

  test('at an XA statement that is not known', () => {
    expect(stopOf(gtid(5, 300), query('XA SUSPEND', 380))).toMatchObject({
      code: 'DITTO_SOURCE_EVENT_MALFORMED',
      message: expect.stringContaining('XA SUSPEND'),
    });
  });

  test('at a transaction inside another', () => {
    expect(stopOf(gtid(5, 300), query('BEGIN', 380), gtid(6, 500))).toMatchObject({
      code: 'DITTO_SOURCE_EVENT_MALFORMED',
    });
  });

  test('at images that lack a column', () => {
    const minimal = Buffer.from([1, 0, 0, 0, 0, 0, 1, 0, 2, 0, 1, 0xfe, 0]);
    const begun = [gtid(5, 300), query('BEGIN', 380), tableMap('t', 420)];
    expect(stopOf(...begun, event(EventType.writeRows, minimal, 460))).toMatchObject({
      code: 'DITTO_SOURCE_ROW_IMAGE',
    });
  });

  describe('at rows larger than may be', () => {
    const rows = (table: string, count = 6): Buffer => insertRows(table, Array<number>(count).fill(1), 460);
    const most = rows('t').length - 4;
    const begun = [gtid(5, 300), query('BEGIN', 380), tableMap('t', 420), tableMap('excluded', 430)];
    const tooLarge = expect.objectContaining({ code: 'DITTO_SOURCE_ROW_TOO_LARGE', retriable: false });

    beforeEach(() => startReader(null, most));

    test('of an included table, by one byte', () => {
      expect(stopOf(...begun, rows('t'), rows('excluded', 99))).toBeNull();
      expect(items.at(-1)).toMatchObject({ type: 'rows' });
      expect(stopOf(rows('t', 7))).toEqual(tooLarge);
    });

    test('as soon as the beginning of the event is there', () => {
      read(...begun);
      const head = (table: string): Buffer => rows(table, 99).subarray(0, 19 + 6);
      expect(() => reader.assertSize(head('t'), 0, most + 1)).toThrow(tooLarge);
      expect(() => reader.assertSize(Buffer.concat([Buffer.alloc(5), head('t')]), 5, most + 1)).toThrow(tooLarge);
      reader.assertSize(head('t'), 0, most);
      reader.assertSize(head('excluded'), 0, most + 1);
      reader.assertSize(head('t').subarray(0, -1), 0, most + 1);
      reader.assertSize(query('TRUNCATE t', 460), 0, most + 1);
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
    for (const sql of ['DELETE FROM t', 'DELETE excluded, t FROM excluded JOIN t']) {
      startReader();
      expect(stopOf(gtid(5, 300), query(sql, 380))).toMatchObject({ code: 'DITTO_SOURCE_STATEMENT_EVENT' });
    }
  });
});

describe('layouts', () => {
  test('one object serves all rows with the same layout, whatever their table id', () => {
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
