import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Set to 1 for tests that have a long form; they read it in their own file. */
export const LONG_TEST_VARIABLE = 'DITTO_TEST_LONG';

/** Paths of the test files that have a long form: those that read the variable. */
export function findLongTests(root: string): string[] {
  return globSync('{apps,libs,stack,bench,demo,test,tools}/**/*.{spec,test}.ts', { cwd: root })
    .filter((path) => readFileSync(join(root, path), 'utf8').includes(LONG_TEST_VARIABLE))
    .sort();
}
