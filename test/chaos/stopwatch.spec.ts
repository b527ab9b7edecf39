import { expect, test } from '@jest/globals';
import { describeOverload, Stopwatch } from './stopwatch.ts';

test.each([
  [20, 0.3, null],
  [500, 0.3, 'the machine had no time'],
  [20, 0.95, 'the machine had no time'],
])('held up for %d ms, pressure %d: %s', (heldUpMs, pressure, doubt) => {
  expect(describeOverload(heldUpMs, pressure)).toBe(doubt);
});

test('a stopwatch takes the time since it was made', () => {
  const before = performance.now();
  const watch = new Stopwatch();
  const { tookMs } = watch.read();
  expect(tookMs).toBeGreaterThanOrEqual(0);
  expect(tookMs).toBeLessThanOrEqual(performance.now() - before);
});
