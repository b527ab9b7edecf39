import { expect, it } from '@jest/globals';
import { parseProcessStat, readProcessStat } from './process-stat.ts';

it('reads fields behind a name with blanks and brackets', () => {
  const text = '77 (a b) c) S 12 7 7 0 -1 4194560 9 0 0 0 250 30 0 0 20 0 11 0 6543 1 2';
  expect(parseProcessStat(text)).toEqual({ state: 'S', parent: 12, cpuTicks: 280, threads: 11, startedTicks: 6543 });
});

it('finds this process, and none behind a pid that was never given', () => {
  expect(readProcessStat(process.pid)).toMatchObject({ parent: process.ppid });
  expect(readProcessStat(2 ** 30)).toBeNull();
});
