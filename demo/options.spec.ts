import { describe, expect, test } from '@jest/globals';
import { parseDemoOptions } from './options.ts';

describe('options of the demo', () => {
  test('without arguments it fills at least 200,000 rows and cleans up', () => {
    expect(parseDemoOptions([])).toEqual({ rows: 200_000, followSeconds: 10, rate: 100, keep: false, stop: null });
  });

  test('each can be given', () => {
    const args = ['--rows', '2000', '--follow-seconds=3', '--rate', '50', '--keep'];
    expect(parseDemoOptions(args)).toEqual({ rows: 2_000, followSeconds: 3, rate: 50, keep: true, stop: null });
    expect(parseDemoOptions(['--stop', '/x'])).toMatchObject({ stop: '/x' });
    expect(parseDemoOptions(['-h'])).toBe('help');
  });

  test.each([
    ['--rows', 'many'],
    ['--rows', '1'],
    ['--rate', '0'],
    ['--follow-seconds', '-1'],
    ['--follow-seconds', '1.5'],
    ['--unknown'],
    ['extra'],
  ])('refuses %s %s', (...args) => {
    expect(() => parseDemoOptions(args)).toThrow(expect.objectContaining({ name: 'TypeError' }));
  });
});
