import { describe, expect, it } from '@jest/globals';
import {
  asRowChanges,
  type ChangePart,
  changeVersion,
  type Column,
  EnvelopeWriter,
  type Row,
  type RowChange,
  type TableLayout,
  versionPrefix,
} from '#change-events';
import { EndedRow, MessageRow, type MessageTable } from './message-row.ts';

const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const column = (name: string, kind: Column['kind']): Column => ({
  ...{ name, kind, type: kind, unsigned: false, precision: 0, scale: 0, length: 0, charset: null, labels: [] },
});
const layout: TableLayout = {
  database: 'shop',
  table: 'orders',
  columns: [column('id', 'bigint'), column('name', 'text'), column('price', 'decimal')],
  key: [0],
  fingerprint: '1',
};
const table: MessageTable = { layout, source: 'eu', bigint: 'number' };
const row: Row = [7, 'ä "b"', '1.50'];

function makeChange(options: Partial<RowChange> = {}): RowChange {
  const [file, offset] = ['binlog.000007', 4711];
  const transaction = {
    ...{ gtid: `${UUID}:42`, serverId: 1, serverUuid: UUID, file, offset, commitMicros: 1_770_000_000_000_000 },
    versionPrefix: versionPrefix(1, file, offset),
  };
  const change: RowChange = {
    ...{ op: 'create', layout, before: null, after: row, transaction, rowIndex: 3, readSequence: 0, windowId: null },
  };
  return { ...change, ...options };
}

function write(change: RowChange, part: ChangePart = 'whole', bigint: 'number' | 'string' = 'number'): Buffer {
  const writer = new EnvelopeWriter(layout, { source: 'eu', version: '1', bigint });
  const changes = asRowChanges(change);
  const target = Buffer.alloc(writer.bound(changes, 0));
  return target.subarray(0, writer.write(changes, 0, part, 1_770_000_000_999, target, 0));
}

const version = changeVersion(makeChange());
const id = `${UUID}:42/3`;
const store = (value: Buffer | null, options: object = {}): MessageRow =>
  new MessageRow({ version, id, value, ...options }, table);

describe('MessageRow', () => {
  it('is equal to the row that was published, by bytes', () => {
    const stored = store(write(makeChange()));
    expect(stored).toMatchObject({ version, gtid: `${UUID}:42`, isDeleted: false, damage: null });
    expect(stored.compare(row)).toEqual([]);
    expect(stored.readRow()).toEqual(row);
  });

  it('is equal to the same values in other bytes', () => {
    expect(store(write(makeChange())).compare([7, 'ä "b"', '1.5'])).toEqual([]);
  });

  it('names what differs, cut to a limit', () => {
    const long = 'x'.repeat(10_000);
    expect(store(write(makeChange())).compare([7, long, '1.50'])).toEqual([
      { column: 'name', source: `"${'x'.repeat(199)}…`, sink: '"ä \\"b\\""' },
    ]);
  });

  it('follows the form of BIGINT that the source has', () => {
    const value = write(makeChange(), 'whole', 'string');
    expect(store(value).compare(row)).toEqual([{ column: 'id', source: '7', sink: '"7"' }]);
    const asText = new MessageRow({ version, id, value }, { ...table, bigint: 'string' });
    expect(asText.compare(row)).toEqual([]);
    expect(asText.readRow()).toEqual(row);
  });

  it('is the trace of a deleted row after a delete, a tombstone, and the removal of a changed key', () => {
    const removal = write(makeChange({ op: 'update', before: row, after: [8, 'b', null] }), 'removal');
    const deleted = [write(makeChange({ op: 'delete', before: row, after: null })), null, removal];
    for (const value of deleted)
      expect(store(value)).toMatchObject({ isDeleted: true, gtid: `${UUID}:42`, damage: null });
    expect(store(null).readRow()).toBeNull();
    expect(store(null, { id: 'window/abc' }).gtid).toBeNull();
  });

  it('accepts a read, whose place is not that of its version', () => {
    const read = makeChange({ op: 'read', rowIndex: 0xffffffff, readSequence: 9, windowId: 'w' });
    const { transaction } = read;
    const value = write({ ...read, transaction: { ...transaction, file: 'binlog.000009', offset: 4 } });
    expect(store(value, { version: changeVersion(read) })).toMatchObject({ damage: null, isDeleted: false });
  });

  const text = write(makeChange()).toString();
  it.each([
    ['another table', text.replace('"table":"orders"', '"table":"orderr"'), /^it names the table eu.shop.orderr$/],
    ['another source', text.replace('"name":"eu"', '"name":"et"'), /^it names the table et/],
    ['no JSON', text.slice(1), /envelope/],
    ['the wrong operation', text.replace('"op":"c"', '"op":"d"'), /operation is d, its row is there/],
    ['the end of a table', text.replace('"op":"c"', '"op":"t"'), /ends a table/],
    ['another place', text.replace('"pos":4711', '"pos":4710'), /place/],
    ['another row', text.replace('"row":3', '"row":2'), /place/],
    ['another file', text.replace('binlog.000007', 'binlog.000006'), /place/],
  ])('is damaged when it has %s', (_, value, damage) => {
    expect(value).not.toBe(text);
    const stored = store(Buffer.from(value));
    expect(stored.damage).toMatch(damage);
    expect(stored.readRow()).toBeUndefined();
  });

  it('can not be decoded when its row is no JSON of one', () => {
    const stored = store(Buffer.from(text.replace('"price":"1.50"', '"price":1.5.0')));
    expect(stored.damage).toBeNull();
    expect(stored.compare(row)).toBeNull();
    expect(stored.readRow()).toBeUndefined();
  });

  it('finds every flipped bit of the row', () => {
    const value = write(makeChange());
    const from = value.indexOf(',"after":') + ',"after":'.length;
    const to = value.indexOf(',"source":');
    for (let bit = 8 * from; bit < 8 * to; bit++) {
      const flipped = Buffer.from(value);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      const stored = store(flipped);
      const isFound = stored.damage !== null || stored.compare(row)?.length !== 0;
      expect([bit, isFound]).toEqual([bit, true]);
      expect(stored.fingerprint).not.toBe(store(value).fingerprint);
    }
  });
});

describe('EndedRow', () => {
  it('is the trace of a deleted row', () => {
    expect(new EndedRow(version, null)).toMatchObject({ version, gtid: null, isDeleted: true, damage: null });
  });
});
