import { describe, expect, test } from '@jest/globals';
import { makeChange, makeColumn, makeLayout, SERVER_UUID } from '../test/samples.ts';
import { asRowChanges, type RowChange } from './change.ts';
import { findOperation, readEnvelope } from './envelope-reader.ts';
import { EnvelopeWriter } from './envelope.ts';

const layout = makeLayout([makeColumn('id', 'bigint'), makeColumn('"op":"c"', 'text')]);
const writer = new EnvelopeWriter(layout, { source: '"op":"r"', version: '1', bigint: 'number' });

function write(change: RowChange): Buffer {
  const changes = asRowChanges(change);
  const target = Buffer.alloc(writer.bound(changes, 0));
  return target.subarray(0, writer.write(changes, 0, 'whole', 1_770_000_000_999, target, 0));
}

describe('findOperation', () => {
  test('finds the letter of each operation, whatever names and values contain', () => {
    const row = [1, '"op":"u","ts_ms":1}'];
    expect(findOperation(write(makeChange(layout, null, row)))).toBe('c');
    expect(findOperation(write(makeChange(layout, row, row)))).toBe('u');
    expect(findOperation(write(makeChange(layout, row, null)))).toBe('d');
    expect(findOperation(write(makeChange(layout, null, row, { op: 'read', windowId: 'w' })))).toBe('r');
    const { transaction } = makeChange(layout, null, row);
    const truncate = writer.encodeTableChange({ op: 'truncate', layout, transaction, rowIndex: 0 }, 1);
    expect(findOperation(truncate)).toBe('t');
  });

  test('finds none in what is not an envelope', () => {
    for (const text of ['', '{}', '{"op":"x"}', '{"op":"create"}', '"op":"', '"op":"c'])
      expect(findOperation(Buffer.from(text))).toBeNull();
  });
});

describe('readEnvelope', () => {
  const value = write(makeChange(layout, [1, 'a'], [1, 'b']));

  test('gives operation, row and source of what the writer wrote', () => {
    const source = {
      name: '"op":"r"',
      db: 'shop',
      table: 'orders',
      isLogged: true,
      gtid: `${SERVER_UUID}:42`,
      file: 'binlog.000007',
      pos: 4711,
      row: 3,
    };
    expect(readEnvelope(value)).toEqual({ op: 'u', after: Buffer.from('{"id":1,"\\"op\\":\\"c\\"":"b"}'), source });
    expect(readEnvelope(write(makeChange(layout, [1, 'a'], null)))).toMatchObject({ op: 'd', after: null });
    const read = makeChange(layout, null, [1, 'a'], { op: 'read', windowId: 'w' });
    expect(readEnvelope(write(read))).toMatchObject({ op: 'r', source: { isLogged: false, row: 0 } });
  });

  test('refuses what the writer does not write', () => {
    const text = value.toString();
    const others = [
      text.slice(1),
      `${text} `,
      text.replace('"before"', '"befora"'),
      text.replace('"name":', '"nama":'),
      text.replace('"op":"u"', '"op":"x"'),
      text.replace('"transaction":null', '"transaction":nulm'),
      text.replace('"ts_ms":17', '"ts_ms":?7'),
      text.replace('"connector":"mysql"', '"connector":"mysqm"'),
      text.replace('{"id":1', '{"id":?'),
      text.replace(',"row":3', ''),
      'null',
    ];
    for (const other of others) {
      expect(other).not.toBe(text);
      expect([other, readEnvelope(Buffer.from(other))]).toEqual([other, null]);
    }
  });

  test('refuses bytes that are not UTF-8, also in an image that no one compares', () => {
    const broken = Buffer.from(value);
    broken[value.indexOf('"a"') + 1] = 0xff;
    expect(readEnvelope(broken)).toBeNull();
  });
});
