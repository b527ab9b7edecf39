import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { makeChange, makeColumn, makeLayout, makeTransaction } from '../test/samples.ts';
import { asRowChanges, type RowChange } from './change.ts';
import { ChangeHeaderWriter, VERSION_BYTES } from './change-header.ts';
import { changeId, splitKeyChange } from './change-identity.ts';
import { changeVersion } from './version.ts';

const layout = makeLayout([makeColumn('id', 'integer')]);

function written(writer: ChangeHeaderWriter, change: RowChange, part: 'whole' | 'removal' | 'creation'): string[] {
  const changes = asRowChanges(change);
  const target = Buffer.alloc(writer.idBound(changes) + VERSION_BYTES);
  const id = target.toString('utf8', 0, writer.writeId(changes, 0, part, target, 0));
  return [id, target.toString('utf8', 0, writer.writeVersion(changes, 0, target, 0))];
}

describe('ChangeHeaderWriter', () => {
  test('writes what changeId and changeVersion say, for any order of transactions', () => {
    const transactions = fc.record({
      gtid: fc.option(fc.nat().map((number) => `3e11fa47-71ca-11e1-9e33-c80aa9429562:tag:${number}`)),
      offset: fc.nat(2 ** 48 - 1),
      file: fc.constantFrom('binlog.000001', 'lög.123456'),
    });
    const writer = new ChangeHeaderWriter();
    fc.assert(
      fc.property(transactions, fc.nat(0xffffffff), fc.boolean(), (place, rowIndex, isRead) => {
        const read = isRead
          ? ({ op: 'read', readSequence: 5, windowId: 'shop/1/5', rowIndex: 0xffffffff } as const)
          : {};
        const change = makeChange(layout, null, [1], { rowIndex, transaction: makeTransaction(place), ...read });
        expect(written(writer, change, 'whole')).toEqual([changeId(change), changeVersion(change)]);
      }),
    );
  });

  test('the halves of a changed key', () => {
    const writer = new ChangeHeaderWriter();
    const change = makeChange(layout, [1], [2]);
    const [removal, creation] = splitKeyChange(change);
    expect(written(writer, change, 'removal')[0]).toBe(changeId(removal));
    expect(written(writer, change, 'creation')[0]).toBe(changeId(creation));
  });

  test('a transaction of more rows than a version holds is refused', () => {
    const change = makeChange(layout, null, [1], { rowIndex: 2 ** 32 });
    expect(() => written(new ChangeHeaderWriter(), change, 'whole')).toThrow(
      expect.objectContaining({ code: 'DITTO_VERSION_RANGE' }),
    );
  });
});
