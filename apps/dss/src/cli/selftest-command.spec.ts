import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runSelftest } from './selftest-command.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ditto-selftest-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

it('runs what is in the repository, with the arguments as they are, and gives its exit code', async () => {
  mkdirSync(join(folder, 'demo'));
  const entry =
    "import { writeFileSync } from 'node:fs';\nwriteFileSync('args', process.argv.slice(2).join('|'));\nprocess.exit(7);";
  writeFileSync(join(folder, 'demo', 'selftest.ts'), entry);
  const args = ['--scratch-schema', "a b'; --"];
  expect(await runSelftest(args, folder, () => undefined)).toBe(7);
  expect(readFileSync(join(folder, 'args'), 'utf8')).toBe(args.join('|'));
});

it('could not be tried elsewhere', async () => {
  const complaints: string[] = [];
  const code = await runSelftest([], join(folder, 'nowhere'), (text) => complaints.push(text));
  expect([code, complaints]).toEqual([2, [expect.stringContaining('in the repository only')]]);
});
