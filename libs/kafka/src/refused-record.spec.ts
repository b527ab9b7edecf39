import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { type Column, encodeKeyValues, type Row, type TableLayout, ValueImages } from '#change-events';

import { describeRefused } from './refused-record.ts';

const column = (name: string, kind: Column['kind'], type: string): Column => ({
  ...{ name, kind, type, unsigned: false, precision: 0, scale: 0, length: 0, charset: null, labels: [] },
});

const layout: TableLayout = {
  database: 'shop',
  table: 'orders',
  columns: [
    column('note', 'text', 'varchar'),
    column('a "quoted": name', 'bigint', 'bigint'),
    column('name', 'text', 'varchar'),
    column('count', 'integer', 'int'),
    column('hash', 'bytes', 'binary'),
  ],
  key: [2, 1, 3, 4],
  fingerprint: 'f',
};

const bigint = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const canonical = fc
  .oneof(fc.maxSafeInteger(), bigint)
  .map((value) => (Number.isSafeInteger(Number(value)) ? Number(value) : BigInt(value)));

describe('describeRefused', () => {
  it.each(['number', 'string'] as const)('reads the key of any row with bigint: %s', (mode) => {
    fc.assert(
      fc.property(canonical, fc.string(), fc.integer(), fc.uint8Array(), (id, name, count, hash) => {
        const row: Row = ['', id, name, count, Buffer.from(hash)];
        const images = new ValueImages(layout, [row]);
        const key = Buffer.alloc(10_000);
        const end = images.writeKey(0, key, 0, mode);
        const record = { key: null, value: null, headers: { 'ditto.id': 'u:1/0', 'ditto.version': 'v' } };
        expect(describeRefused(layout, key.toString('utf8', 0, end), record)).toEqual({
          table: { database: 'shop', table: 'orders' },
          key: encodeKeyValues(layout, row),
          id: 'u:1/0',
          version: 'v',
          ...{ gtid: null, file: '', offset: 0, payload: null },
        });
      }),
    );
  });

  it.each([
    ['another key', '{"name":"","a \\"quoted\\": name":1,"count":1,"other":""}', layout],
    ['less of the key', '{"name":"","count":1,"hash":""}', layout],
    ['more of a key', '{"id":1,"name":""}', { ...layout, key: [2] }],
    ['a key in a table without one', '{"id":1}', { ...layout, key: [] }],
  ])('I1: takes no row for another: a message with %s', (_, key, of) => {
    const record = { key: null, value: null, headers: { 'ditto.id': 'u:1/0', 'ditto.version': 'v' } };
    expect(() => describeRefused(of, key, record)).toThrow(RangeError);
  });

  it('says the place of the change and shows the beginning of the message, whatever the row contains', () => {
    const forged = '"source":{"gtid":"x","file":"y","pos":1}';
    const source = { version: '1', name: 's', gtid: 'u:7', file: 'binlog.000003', pos: 1234, row: 0 };
    const value = {
      before: null,
      after: { note: `${forged}${'é'.repeat(20_000)}` },
      source,
      op: 'c',
      transaction: null,
    };
    const json = Buffer.from(JSON.stringify(value));
    const record = { key: null, value: json, headers: { 'ditto.id': 'u:7/0', 'ditto.version': 'v' } };
    const key = JSON.stringify({ name: '', 'a "quoted": name': 1, count: 1, hash: '' });
    const { payload, ...refused } = describeRefused(layout, key, record);
    expect(refused).toMatchObject({ gtid: 'u:7', file: 'binlog.000003', offset: 1234 });
    expect(payload?.bytes).toBe(json.length);
    expect(json.toString('utf8').startsWith(payload?.text ?? '-')).toBe(true);
    expect(Buffer.byteLength(payload?.text ?? '')).toBeGreaterThan(16_000);
  });
});
