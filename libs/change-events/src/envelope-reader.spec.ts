import { describe, expect, test } from '@jest/globals';
import { makeChange, makeColumn, makeLayout } from '../test/samples.ts';
import { asRowChanges, type RowChange } from './change.ts';
import { findOperation } from './envelope-reader.ts';
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
