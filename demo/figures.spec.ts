import { expect, test } from '@jest/globals';
import { formatBar, formatCount, formatDuration, shorten } from './figures.ts';

test.each([
  [0, '0'],
  [999, '999'],
  [1_000, '1,000'],
  [1_234_567.4, '1,234,567'],
])('%d reads %s', (value, text) => {
  expect(formatCount(value)).toBe(text);
});

test.each([
  [0.84, '0.8 ms'],
  [42.4, '42 ms'],
  [3_449, '3.4 s'],
  [59_960, '1 min 00 s'],
  [125_000, '2 min 05 s'],
])('%d ms read %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

test('a bar never leaves its width', () => {
  expect([formatBar(-1, 4), formatBar(0.5, 4), formatBar(7, 4)]).toEqual(['░░░░', '██░░', '████']);
});

test('a long text keeps its end', () => {
  expect(shorten('abcdef', 4)).toBe('…def');
  expect(shorten('abc', 4)).toBe('abc');
});
