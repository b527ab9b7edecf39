// The Jest runner of Stryker, but a mutant meets one file of tests after the other until one notices it, the spec beside
// the mutated file first; and only files whose tests reach it. All at once, as Jest finds them, takes ten times as long.
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { strykerPlugins as jestPlugins } from '@stryker-mutator/jest-runner';
import { isInSample } from './mutation-scores.ts';

const oneIn = Number(process.env['DITTO_MUTANTS_ONE_IN'] ?? 1);
/** In the sandbox, for the processes that did not run the tests without a mutant: the file of each test. */
const LISTING = 'files-of-tests.json';
/** Of the part, beside the folder of sandboxes: Stryker says what survived when all is over. */
const SURVIVORS = '../../survivors.txt';

interface DryRunResult {
  readonly status: string;
  readonly tests?: readonly { readonly id: string; readonly fileName?: string; timeSpentMs: number }[];
}

interface MutantRunOptions {
  readonly activeMutant: {
    readonly id: string;
    readonly replacement: string;
    readonly location: { readonly start: { readonly line: number } };
  };
  readonly sandboxFileName: string;
  /** The tests that reach the mutant; without it any may. */
  readonly testFilter?: readonly string[];
}

type MutantRunResult =
  | { readonly status: 'survived'; readonly nrOfTests: number }
  | { readonly status: 'error'; readonly errorMessage: string }
  | { readonly status: 'killed' | 'timeout' };

/** What is used of Stryker's Jest runner; `run` is not part of Stryker's interface of runners. */
interface JestRunner {
  dryRun: (options: object) => Promise<DryRunResult>;
  mutantRun: (options: MutantRunOptions) => Promise<MutantRunResult>;
  run: (settings: { readonly testFiles?: readonly string[] | undefined }) => Promise<unknown>;
}

function narrow(runner: JestRunner): JestRunner {
  const [dryRun, mutantRun, run] = [runner.dryRun.bind(runner), runner.mutantRun.bind(runner), runner.run.bind(runner)];
  let testFiles: readonly string[] | undefined;
  runner.run = (settings) => run({ ...settings, testFiles });
  runner.dryRun = async (options) => {
    const beganAt = performance.now();
    const result = await dryRun(options);
    const { tests = [] } = result;
    writeFileSync(LISTING, JSON.stringify(Object.fromEntries(tests.map(({ id, fileName }) => [id, fileName]))));
    // Loading the files counts for their tests: else each mutant that loops is given the time to load all of them.
    const loadMs = performance.now() - beganAt - tests.reduce((sum, { timeSpentMs }) => sum + timeSpentMs, 0);
    for (const test of tests) test.timeSpentMs += Math.max(0, loadMs) / tests.length;
    return result;
  };
  runner.mutantRun = async (options) => {
    if (!isInSample(options.activeMutant.id, oneIn)) return { status: 'error', errorMessage: 'not in the sample' };
    let nrOfTests = 0;
    for (const file of filesToRun(options)) {
      testFiles = [file];
      const result = await mutantRun(options);
      if (result.status !== 'survived') return result;
      nrOfTests += result.nrOfTests;
    }
    const { location, replacement } = options.activeMutant;
    appendFileSync(SURVIVORS, `${options.sandboxFileName}:${location.start.line}: ${replacement}\n`);
    return { status: 'survived', nrOfTests };
  };
  return runner;
}

function filesToRun({ testFilter, sandboxFileName }: MutantRunOptions): string[] {
  const fileOf = JSON.parse(readFileSync(LISTING, 'utf8')) as Record<string, string>;
  const files = new Set((testFilter ?? Object.keys(fileOf)).flatMap((id) => fileOf[id] ?? []));
  const beside = sandboxFileName.replace(/\.ts$/, '.spec.ts');
  return files.delete(beside) ? [beside, ...files] : [...files];
}

export const strykerPlugins = jestPlugins.map((plugin) => {
  const jestFactory = plugin.factory as unknown as ((injector: unknown) => JestRunner) & { readonly inject: unknown };
  const factory = Object.assign((injector: unknown) => narrow(jestFactory(injector)), { inject: jestFactory.inject });
  return { ...plugin, name: 'narrow-jest', factory };
});
