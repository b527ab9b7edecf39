// npm run test:mutants: how many small faults in the code the specs notice (mutation testing by Stryker).
// usage: npm run test:mutants [-- PART|FILE ...]   default: every part of the table in docs/mutants.md
// A part whose score is below its score in the table fails the run. An hour or two for all of them on two cores: not in
// npm test.
import { globSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Stryker } from '@stryker-mutator/core';
import {
  chooseMutated,
  isInSample,
  type MutatedPart,
  readMutationScores,
  rateMutants,
  specsBeside,
} from './mutation-scores.ts';

const root = join(import.meta.dirname, '..');
const page = join(root, 'docs', 'mutants.md');
const jestConfig = (await import(pathToFileURL(join(root, 'jest.config.js')).href)) as {
  default: { projects: readonly [object] };
};
const [unit] = jestConfig.default.projects;

async function mutate({ part, files, oneIn }: MutatedPart): Promise<number | null> {
  const folder = join('.cache', 'mutants', part);
  mkdirSync(join(root, folder), { recursive: true });
  rmSync(join(root, folder, 'survivors.txt'), { force: true });
  process.env['DITTO_MUTANTS_ONE_IN'] = String(oneIn);
  const stryker = new Stryker({
    mutate: [...files],
    // Texts of errors and logs are read by people; a spec that repeats each word would prove nothing.
    mutator: { plugins: null, excludedMutations: ['StringLiteral'] },
    testRunner: 'narrow-jest',
    plugins: ['@stryker-mutator/jest-runner', join(root, 'tools', 'narrow-jest-runner.ts')],
    testRunnerNodeArgs: ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'],
    // The specs of other libs would cost hours, and seldom notice more.
    jest: {
      projectType: 'custom',
      // without `projects`, which Stryker reads from the file itself
      config: {
        ...unit,
        projects: undefined,
        testMatch: specsBeside(files),
        // Thousands of damaged inputs, of which it is only asked that they end in a coded error.
        testPathIgnorePatterns: ['-fuzz\\.spec\\.ts$'],
      },
      enableFindRelatedTests: true,
    },
    coverageAnalysis: 'perTest',
    ignorePatterns: ['/dist', '/.cache', '/deploy', '/docs', '/demo'],
    tempDirName: join(folder, 'sandbox'),
    reporters: ['clear-text', 'json', 'progress-append-only'],
    jsonReporter: { fileName: join(folder, 'mutants.json') },
    concurrency: 2,
    timeoutMS: 20_000,
    dryRunTimeoutMinutes: 20,
  });
  const results = await stryker.runMutationTest();
  return rateMutants(results.filter(({ id }) => isInSample(id, oneIn)));
}

process.chdir(root);
const scores = readMutationScores(readFileSync(page, 'utf8'));
const chosen = chooseMutated(process.argv.slice(2), scores, (pattern) => globSync(pattern, { cwd: root }));
let isBelow = false;
for (const mutated of chosen) {
  const score = await mutate(mutated);
  const floor = scores.find(({ part }) => part === mutated.part)?.score ?? null;
  const isLower = score !== null && floor !== null && score < floor;
  isBelow ||= isLower;
  process.stdout.write(
    `${mutated.part}: ${score === null ? 'no mutants' : `${String(score)} %`}${floor === null ? '' : ` (docs/mutants.md: ${String(floor)} %)`}${isLower ? ': LOWER' : ''}\n`,
  );
}
process.exitCode = isBelow ? 1 : 0;
