import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const root = join(import.meta.dirname, '..');
const TEST = /\.(spec|test)\.ts$/;

/** The libs that have the text in such a file. */
function findLibs(pattern: string, isTest: boolean, text: RegExp): readonly string[] {
  const files = globSync(pattern, { cwd: root }).filter((file) => TEST.test(file) === isTest);
  const found = files.filter((file) => text.test(readFileSync(join(root, file), 'utf8')));
  return [...new Set(found.map((file) => file.split('/')[1] ?? ''))].sort();
}

describe('the contract of ChangeSink', () => {
  it('is tried by a test of each lib that has a sink', () => {
    const libs = findLibs('libs/*/src/**/*.ts', false, /^export class \w+ extends ChangeSink\b/m);
    expect(libs).toEqual(expect.arrayContaining(['kafka', 'mongo']));
    expect(findLibs('libs/*/{src,test}/**/*.ts', true, /\bCHANGE_SINK_CONTRACT\b/)).toEqual(libs);
  });
});
