import { describe, expect, it } from '@jest/globals';
import { formatVersion, READ_ROW_INDEX } from '#change-events';
import { followOrder, isLogged, type KeyOrder } from './key-order.ts';

const versionOf = (offset: number): string =>
  formatVersion({ lineage: 1, fileNumber: 1, offset, rowIndex: 0, readSequence: 0 });

/** Places of the messages that are out of order. */
function findOutOfOrder(...offsets: readonly number[]): number[] {
  let order: KeyOrder | null = null;
  return offsets.filter((offset) => {
    const followed = followOrder(order, versionOf(offset));
    order = followed.order;
    return followed.isOutOfOrder;
  });
}

describe('followOrder', () => {
  it('I2: accepts growing versions, a delete with its tombstone, and repeated suffixes', () => {
    expect(findOutOfOrder(1, 2, 3, 3, 4)).toEqual([]);
    expect(findOutOfOrder(1, 2, 3, 2, 3, 4)).toEqual([]);
    expect(findOutOfOrder(1, 2, 3, 1, 2, 3, 4)).toEqual([]);
    expect(findOutOfOrder(1, 2, 3, 3, 4)).toEqual([]);
  });

  it('I2: accepts that what is repeated begins again', () => {
    expect(findOutOfOrder(1, 2, 3, 4, 2, 3, 2, 3, 4, 5)).toEqual([]);
    expect(findOutOfOrder(1, 2, 3, 3, 2, 3, 4)).toEqual([]);
  });

  it('I2: finds what goes on before the repeat has come up to the highest', () => {
    expect(findOutOfOrder(1, 2, 3, 2, 4)).toEqual([4]);
    expect(findOutOfOrder(1, 3, 2, 4)).toEqual([4]);
    expect(findOutOfOrder(5, 1, 6, 7)).toEqual([6]);
  });
});

describe('isLogged', () => {
  it('tells a change of the log from what a read found', () => {
    expect(isLogged(versionOf(1))).toBe(true);
    const read = { lineage: 1, fileNumber: 1, offset: 1, rowIndex: READ_ROW_INDEX, readSequence: 7 };
    expect(isLogged(formatVersion(read))).toBe(false);
  });
});
