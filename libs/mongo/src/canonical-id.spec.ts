import { describe, expect, it } from '@jest/globals';
import { mongo } from 'mongoose';
import { type CanonicalValue, type Column, type RowChange, rowOfKey, type TableLayout } from '#change-events';
import { BsonWriter } from './bson-writer.ts';
import { decodeId } from './canonical-id.ts';
import { DocumentEncoder } from './mirror-document.ts';

function column(name: string, kind: Column['kind'], facts: Partial<Column> = {}): Column {
  const plain = { type: kind, unsigned: false, precision: 0, scale: 0, length: 0, charset: null, labels: [] };
  return { name, kind, ...plain, ...facts };
}

function layoutOf(...columns: readonly Column[]): TableLayout {
  return { database: 'd', table: 't', columns, key: [...columns.keys()], fingerprint: 'f' };
}

function store(layout: TableLayout, row: readonly CanonicalValue[]): Uint8Array {
  const change = { transaction: { gtid: null } } as unknown as RowChange;
  return new DocumentEncoder(layout).tombstone(new BsonWriter(), row, change, 'v', 0).bytes;
}

function documentOf(id: unknown): Uint8Array {
  return mongo.BSON.serialize({ v: 'v', _id: id });
}

const decimal = column('a', 'decimal', { type: 'decimal', precision: 20, scale: 10 });
const wide = column('a', 'decimal', { type: 'decimal', precision: 60, scale: 2 });

describe('decodeId', () => {
  it.each<[Column, CanonicalValue]>([
    [column('a', 'integer', { type: 'int' }), -5],
    [column('a', 'integer', { type: 'int', unsigned: true }), 4_294_967_295],
    [column('a', 'bigint', { type: 'bigint' }), 7],
    [column('a', 'bigint', { type: 'bigint' }), -9_223_372_036_854_775_808n],
    [column('a', 'bigint', { type: 'bigint', unsigned: true }), 18_446_744_073_709_551_615n],
    [decimal, '0.0000000001'],
    [decimal, '-1234567890.5000000000'],
    [decimal, '0.0000000000'],
    [column('a', 'decimal', { type: 'decimal', precision: 34 }), '9'.repeat(34)],
    [wide, `${'9'.repeat(58)}.01`],
    [column('a', 'double', { type: 'double' }), 5e-324],
    [column('a', 'double', { type: 'double' }), 3],
    [column('a', 'float', { type: 'float' }), 0.1],
    [column('a', 'text', { type: 'varchar' }), 'ß🐬'],
    [column('a', 'bytes', { type: 'varbinary' }), Buffer.from([0, 255, 7])],
    [column('a', 'bytes', { type: 'varbinary' }), Buffer.alloc(0)],
    [column('a', 'bits', { type: 'bit' }), Buffer.from([1, 1])],
    [column('a', 'boolean', { type: 'bit' }), true],
    [column('a', 'geometry', { type: 'point' }), Buffer.alloc(25, 1)],
    [column('a', 'datetime', { type: 'datetime' }), '0000-00-00T00:00:00'],
    [column('a', 'enum', { type: 'enum' }), ''],
  ])('gives back the key of a document: %j %s', (of, value) => {
    const layout = layoutOf(of);
    expect(decodeId(layout, store(layout, [value]))).toEqual([value]);
  });

  it('gives back a key of several columns by name, the other columns being NULL', () => {
    const names = ['id', '2', '1', '$x'].map((name) => column(name, 'integer', { type: 'int' }));
    const layout: TableLayout = { ...layoutOf(...names, column('v', 'text')), key: [1, 2, 3] };
    const row = [9, 1, 2, 3, 'v'];
    expect(decodeId(layout, store(layout, row))).toEqual(rowOfKey(layout, [1, 2, 3]));
  });

  it.each([
    ['an id of another type', 'x'],
    ['an object', { a: 1 }],
    ['nothing', null],
  ])('is null for %s', (_, id) => {
    expect(decodeId(layoutOf(column('a', 'integer', { type: 'int' })), documentOf(id))).toBeNull();
    expect(decodeId(layoutOf(column('a', 'text'), column('b', 'text')), documentOf(id))).toBeNull();
  });

  it('is null for the fields of a key in another order: no write would meet that document', () => {
    const [a, b] = [column('10', 'integer', { type: 'int' }), column('2', 'integer', { type: 'int' })];
    const document = store(layoutOf(a, b), [1, 2]);
    expect(decodeId(layoutOf(a, b), document)).toEqual([1, 2]);
    expect(decodeId(layoutOf(b, a), document)).toBeNull();
  });

  it('is null for a decimal with more digits than the column has', () => {
    expect(decodeId(layoutOf(wide), documentOf(mongo.Decimal128.fromString('1.005')))).toBeNull();
  });
});
