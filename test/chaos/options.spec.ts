import { expect, test } from '@jest/globals';
import { parseChaosOptions } from './options.ts';

test('defaults, and a seed that is chosen', () => {
  expect(parseChaosOptions([])).toEqual({
    minutes: 10,
    rounds: Infinity,
    seed: expect.any(Number),
    json: false,
    keep: false,
  });
});

test('rounds take the place of minutes', () => {
  const options = parseChaosOptions(['--rounds', '5', '--seed', '7', '--json']);
  expect(options).toMatchObject({ minutes: null, rounds: 5, seed: 7, json: true });
});

test('what is no number is refused', () => {
  expect(() => parseChaosOptions(['--minutes', 'some'])).toThrow('--minutes must be a whole number from 1 to 100000');
  expect(() => parseChaosOptions(['--seed', '-1'])).toThrow();
  expect(parseChaosOptions(['--help'])).toBe('help');
});
