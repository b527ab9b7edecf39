import { expect, test } from '@jest/globals';
import { averageShare, combinePasses, type CoveragePass } from './coverage.ts';

const NOW = 1_000_000_000;
const HOUR = 3_600_000;

function pass(rows: number, hour: number, more: Partial<CoveragePass> = {}): CoveragePass {
  const verified = { hour, day: rows, week: rows };
  return { rows, verified, startedAtMs: NOW - 3 * HOUR, endedAtMs: NOW - HOUR / 2, oldestMs: NOW - 2 * HOUR, ...more };
}

test('a pass under way adds to the whole one before it, and never more than all', () => {
  const after = { startedAtMs: NOW - HOUR / 4, endedAtMs: null };
  expect(combinePasses(pass(100, 30), [pass(20, 20, after)], NOW)).toEqual({
    ...{ rows: 100, shares: { hour: 0.5, day: 1, week: 1 }, oldestMs: NOW - 2 * HOUR },
  });
  expect(combinePasses(pass(100, 90), [pass(20, 20, after)], NOW).shares.hour).toBe(1);
});

test('passes at the same time may have covered the same rows', () => {
  const beside = pass(20, 20, { startedAtMs: NOW - HOUR, endedAtMs: null });
  expect(combinePasses(pass(100, 30), [beside, beside], NOW).shares.hour).toBe(0.3);
  expect(combinePasses(null, [pass(100, 20), pass(100, 30)], NOW)).toMatchObject({
    ...{ rows: 100, shares: { hour: 0.3 }, oldestMs: null },
  });
});

test('an empty table is covered while its pass is recent', () => {
  expect(combinePasses(pass(0, 0), [], NOW).shares).toEqual({ hour: 0, day: 1, week: 1 });
  expect(combinePasses(null, [], NOW).shares).toEqual({ hour: 0, day: 0, week: 0 });
});

test('large tables count more', () => {
  const of = { database: 'shop', sink: 'mongo', oldestMs: null };
  const tables = [
    { ...of, table: 'a', rows: 99, shares: { hour: 1, day: 1, week: 1 } },
    { ...of, table: 'b', rows: 0, shares: { hour: 0, day: 1, week: 1 } },
  ];
  expect(averageShare(tables, 'hour')).toBe(0.99);
  expect(averageShare([], 'hour')).toBe(0);
});
