import { describe, expect, test } from '@jest/globals';
import { MessageOrder, type Step } from './message-order.ts';

/** The version of a change with this number; a read when `read` is given. */
function version(number: number, read?: number): string {
  const place = `${'0'.repeat(16)}${number.toString(16).padStart(12, '0')}`;
  return read === undefined ? `${place}${'0'.repeat(16)}` : `${place}ffffffff${read.toString(16).padStart(8, '0')}`;
}

function steps(...versions: readonly (string | readonly [string, '~'])[]): Step[] {
  const order = new MessageOrder();
  return versions.map((one) => (typeof one === 'string' ? order.step(one, '') : order.step(one[0], '~')));
}

describe('the order of one key', () => {
  test('versions that grow are new, a delete and its tombstone too', () => {
    expect(steps(version(1), version(2), [version(2), '~'], version(3))).toEqual(['new', 'new', 'new', 'new']);
  });

  test('a suffix may be repeated in the same order', () => {
    expect(steps(version(1), version(2), version(3), version(2), version(3), version(4))).toEqual([
      'new',
      'new',
      'new',
      'repeat',
      'repeat',
      'new',
    ]);
    expect(steps(version(1), version(1), version(1), version(2))).toEqual(['new', 'repeat', 'repeat', 'new']);
  });

  test('a repeat may begin again in its midst', () => {
    expect(steps(version(1), version(2), version(1), version(1), version(2), version(3))).toEqual([
      'new',
      'new',
      'repeat',
      'repeat',
      'repeat',
      'new',
    ]);
  });

  test('I2: an older version that never came before is out of order', () => {
    expect(steps(version(2), version(1))).toEqual(['new', 'out-of-order']);
  });

  test('I2: a repeat that leaves a change out is out of order', () => {
    expect(steps(version(1), version(2), version(3), version(1), version(3))).toEqual([
      'new',
      'new',
      'new',
      'repeat',
      'out-of-order',
    ]);
    expect(steps(version(1), version(2), version(1), version(3))).toEqual(['new', 'new', 'repeat', 'out-of-order']);
  });

  test('a read need not come again: its row is read again', () => {
    expect(steps(version(1), version(1, 7), version(2), version(1), version(2))).toEqual([
      'new',
      'new',
      'new',
      'repeat',
      'repeat',
    ]);
    expect(steps(version(1), version(1, 7), version(1), version(2))).toEqual(['new', 'new', 'repeat', 'new']);
  });
});
