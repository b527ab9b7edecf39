import { expect, test } from '@jest/globals';
import { trimEndOf } from './trim-end.ts';

test('takes away what repeats the character at the end, and only there', () => {
  expect(['1500', '000', '', '0a0', '15'].map((text) => trimEndOf(text, '0'))).toEqual(['15', '', '', '0a', '15']);
});
