import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { chooseMutated, rateMutants, readMutationScores, specsBeside } from './mutation-scores.ts';

const root = join(import.meta.dirname, '..');
const glob = (pattern: string): string[] => globSync(pattern, { cwd: root });
const page = [
  '| part | files | sample | score |',
  '| --- | ----- | --- | ----- |',
  '| kernel | libs/kernel/src/retry*.ts, libs/kernel/src/gate.ts | 1 in 4 | 81.5 % |',
  '| other | `apps/dss/src/opening/rewind.ts` | all | not measured |',
].join('\n');

describe('rateMutants', () => {
  it('counts what a spec noticed, rounded down, without mutants that could not run', () => {
    const statuses = [
      'Killed',
      'Timeout',
      'Survived',
      'NoCoverage',
      'Ignored',
      'CompileError',
      'RuntimeError',
    ] as const;
    expect(rateMutants(statuses.map((status) => ({ status })))).toBe(50);
    expect(rateMutants((['Killed', 'Killed', 'Survived'] as const).map((status) => ({ status })))).toBe(66.6);
    expect(rateMutants([{ status: 'Ignored' }])).toBeNull();
  });
});

describe('chooseMutated', () => {
  const scores = readMutationScores(page);

  it('takes the files of a lib without their specs', () => {
    expect(scores.map(({ part, oneIn, score }) => [part, oneIn, score])).toEqual([
      ['kernel', 4, 81.5],
      ['other', 1, null],
    ]);
    const files = ['libs/kernel/src/retry.ts', 'libs/kernel/src/gate.ts'];
    expect(chooseMutated(['kernel'], scores, glob)).toEqual([{ part: 'kernel', files, oneIn: 4 }]);
  });

  it('takes single files, and refuses what is neither', () => {
    expect(chooseMutated(['libs/kernel/src/gate.ts'], scores, glob)).toEqual([
      { part: 'files', files: ['libs/kernel/src/gate.ts'], oneIn: 1 },
    ]);
    expect(() => chooseMutated(['kernell'], scores, glob)).toThrow('kernell');
  });
});

describe('specsBeside', () => {
  it('are of the same libs and apps', () => {
    const files = ['libs/kernel/src/gate.ts', 'libs/kernel/src/sleep.ts', 'apps/dss/src/opening/rewind.ts'];
    expect(specsBeside(files)).toEqual(['<rootDir>/libs/kernel/**/*.spec.ts', '<rootDir>/apps/dss/**/*.spec.ts']);
  });
});

describe('docs/mutants.md', () => {
  it('names files that are there', () => {
    for (const { part, patterns } of readMutationScores(readFileSync(join(root, 'docs', 'mutants.md'), 'utf8')))
      for (const pattern of patterns) expect([part, pattern, glob(pattern).length > 0]).toEqual([part, pattern, true]);
  });
});
