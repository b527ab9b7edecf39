import { describe, expect, it } from '@jest/globals';
import { cutText } from './cut-text.ts';

describe('cutText', () => {
  it.each([
    ['abc', 3, 0, 'abc'],
    ['abcd', 3, 0, 'abc…'],
    ['abcd', 2, 1, '…bc…'],
    ['abcd', 3, 1, '…bcd'],
    ['ab😀d', 3, 0, 'ab…'],
    ['ab😀', 4, 0, 'ab😀'],
    ['ab😀d', 2, 3, '…😀…'],
    ['😀d', 2, 1, '😀…'],
    ['a\ud83db\ude00', 4, 0, 'a\ufffdb\ufffd'],
    ['', 3, 0, ''],
  ])('shows %j, at most %d characters from %d on, as %j', (text, most, from, shown) => {
    expect(cutText(text, most, from)).toBe(shown);
  });
});
