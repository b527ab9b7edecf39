// The Jest runner of Stryker, but a mutant meets one file of tests after the other until one notices it, the spec beside
// the mutated file first; and only files whose tests reach it. All at once, as Jest finds them, takes ten times as long.
import { readFileSync, writeFileSync } from 'node:fs';
import { strykerPlugins as jestPlugins } from '@stryker-mutator/jest-runner';
import { commonTokens, declareFactoryPlugin, type Injector, PluginKind, tokens } from '@stryker-mutator/api/plugin';
import {
  type DryRunOptions,
  DryRunStatus,
  type MutantRunOptions,
  type MutantRunResult,
  MutantRunStatus,
  type TestRunner,
} from '@stryker-mutator/api/test-runner';
import { isInSample } from './mutation-scores.ts';

const oneIn = Number(process.env['DITTO_MUTANTS_ONE_IN'] ?? 1);
/** In the sandbox, for the processes that did not run the tests without a mutant: the file of each test. */
const listing = 'files-of-tests.json';

/** `run` is not part of Stryker's interface of runners, but of its Jest runner. */
interface JestRunner extends TestRunner {
  run: (settings: { readonly testFiles?: readonly string[] | undefined }) => Promise<unknown>;
}

function narrow(runner: JestRunner): JestRunner {
  const [dryRun, mutantRun, run] = [runner.dryRun.bind(runner), runner.mutantRun.bind(runner), runner.run.bind(runner)];
  let testFiles: readonly string[] | undefined;
  runner.run = (settings) => run({ ...settings, testFiles });
  runner.dryRun = async (options: DryRunOptions) => {
    const result = await dryRun(options);
    if (result.status === DryRunStatus.Complete)
      writeFileSync(
        listing,
        JSON.stringify(Object.fromEntries(result.tests.map(({ id, fileName }) => [id, fileName]))),
      );
    return result;
  };
  runner.mutantRun = async (options: MutantRunOptions): Promise<MutantRunResult> => {
    if (!isInSample(options.activeMutant.id, oneIn))
      return { status: MutantRunStatus.Error, errorMessage: 'not in the sample' };
    const count = { tests: 0 };
    for (const file of filesToRun(options)) {
      testFiles = [file];
      const result = await mutantRun(options);
      if (result.status !== MutantRunStatus.Survived) return result;
      count.tests += result.nrOfTests;
    }
    return { status: MutantRunStatus.Survived, nrOfTests: count.tests };
  };
  return runner;
}

function filesToRun({ testFilter, sandboxFileName }: MutantRunOptions): string[] {
  const fileOf = JSON.parse(readFileSync(listing, 'utf8')) as Record<string, string>;
  const files = new Set((testFilter ?? Object.keys(fileOf)).flatMap((id) => fileOf[id] ?? []));
  const beside = sandboxFileName.replace(/\.ts$/, '.spec.ts');
  return files.delete(beside) ? [beside, ...files] : [...files];
}

function createRunner(injector: Injector): JestRunner {
  const [jest] = jestPlugins;
  if (jest === undefined) throw new Error('The Jest runner of Stryker has no plugin.');
  return narrow((jest.factory as unknown as (injector: Injector) => JestRunner)(injector));
}
createRunner.inject = tokens(commonTokens.injector);

export const strykerPlugins = [declareFactoryPlugin(PluginKind.TestRunner, 'narrow-jest', createRunner)];
