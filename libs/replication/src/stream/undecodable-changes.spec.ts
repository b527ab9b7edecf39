import { expect, it } from '@jest/globals';
import { encodeKeyValues, type Row, type RowChanges, SomeImages, type TableLayout, ValueImages } from '#change-events';
import { DittoError } from '#kernel';
import { layout } from '../../test/windowed-read-model.ts';
import { type Acknowledgement, type ChangeSink } from '../ports/change-sink.ts';
import { acceptDecodable } from './undecodable-changes.ts';

const invalid = new DittoError('DITTO_SOURCE_TEXT_INVALID', 'a byte that means no character');

/** The second row of each two has a text that can't be decoded, and a key that can. */
class HalfDecodable extends SomeImages {
  override row(index: number): Row {
    if (index % 2 === 1) throw invalid;
    return super.row(index);
  }
}

it('I6: a change that can not be decoded is described by its whole key, however long', () => {
  const text = { ...layout.columns[0], kind: 'text', type: 'longtext', charset: 'utf8mb4' };
  const wide = { ...layout, columns: [text, layout.columns[1]] } as TableLayout;
  const rows = ['a', 'b', 'c'].map((end): Row => ['é'.repeat(70_000) + end, 1]);
  const transaction = { gtid: null, file: 'binlog.000001', offset: 4 };
  const changes = {
    ...{ op: 'create', layout: wide, before: null, count: 3, firstRowIndex: 0, readSequence: 0, windowId: null },
    after: new HalfDecodable(new ValueImages(wide, rows), rows.length, (index) => index),
    transaction,
  } as unknown as RowChanges;
  const given: number[] = [];
  const sink = { name: 'sink', accept: ({ count }: RowChanges) => given.push(count) } as unknown as ChangeSink;
  const found = acceptDecodable(sink, changes, {} as Acknowledgement, invalid);
  expect(found.flatMap(({ refused }) => refused.map(({ key }) => key))).toEqual([
    encodeKeyValues(wide, rows[1] as Row),
  ]);
  expect(given).toEqual([1]);
});
