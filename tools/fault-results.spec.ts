import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { rateList, readReport } from './fault-results.ts';

const folder = mkdtempSync(join(tmpdir(), 'ditto-faults-'));
afterAll(() => rmSync(folder, { recursive: true }));

const EMPTY = { numFailedTests: 0, numPassedTests: 0, numRuntimeErrorTestSuites: 0, testResults: [] };
const failed = { numFailedTests: 1, testResults: [{ name: '/root/libs/a/src/b.spec.ts', status: 'failed' }] };

describe('the report of a fault', () => {
  it.each([
    ['a spec noticed it', { ...EMPTY, ...failed }, { outcome: 'Killed', by: 'libs/a/src/b.spec.ts' }],
    ['none did', { ...EMPTY, numPassedTests: 3 }, { outcome: 'Survived', by: null }],
    ['a spec does not load', { ...EMPTY, numRuntimeErrorTestSuites: 1 }, { outcome: 'RuntimeError', by: null }],
    ['no spec ran', EMPTY, { outcome: 'RuntimeError', by: null }],
  ])('%s', (_what, report, tried) => {
    const path = join(folder, 'report.json');
    writeFileSync(path, JSON.stringify(report));
    expect(readReport('/root', path)).toEqual(tried);
  });

  it('is an error of this fault where it is missing, or not whole', () => {
    expect(readReport('/root', join(folder, 'none.json'))).toEqual({ outcome: 'RuntimeError', by: null });
    const path = join(folder, 'cut.json');
    writeFileSync(path, '{"numFailedTests": 1');
    expect(readReport('/root', path)).toEqual({ outcome: 'RuntimeError', by: null });
  });
});

describe('a list of faults', () => {
  const outcomes = ['Killed', 'Timeout', 'Survived', 'Killed'] as const;

  it('fails the run below its score, and only as a whole', () => {
    const below = rateList('kafka', { outcomes, isWhole: true, floor: 80 });
    expect(below).toEqual({ isBelow: true, line: 'kafka: 3 of 4 noticed, 75 % (docs/mutants.md: 80 %)' });
    expect(rateList('kafka', { outcomes, isWhole: true, floor: 75 }).isBelow).toBe(false);
    expect(rateList('kafka', { outcomes, isWhole: false, floor: 80 }).isBelow).toBe(false);
  });

  it('is not held to a score that was not measured', () => {
    const { isBelow, line } = rateList('kafka', { outcomes, isWhole: true, floor: null });
    expect([isBelow, line]).toEqual([
      false,
      'kafka: 3 of 4 noticed, 75 % (docs/mutants.md: not measured, so not held)',
    ]);
  });

  it('fails the run for a fault that does not run', () => {
    const { isBelow, line } = rateList('kafka', { outcomes: ['RuntimeError'], isWhole: false, floor: null });
    expect(isBelow).toBe(true);
    expect(line).toMatch(/, 1 do not run$/);
  });
});
