import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';

const program = join(import.meta.dirname, '..', '..', 'test', 'passing-load.ts');

test('I9: what passes through a service is collected before it has grown by more than 75 MB', async () => {
  const args = ['--conditions=source', program];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env: { ...process.env, NODE_OPTIONS: '' } });
  const { growth, written, kept } = JSON.parse(stdout) as { growth: number; written: number; kept: number };
  expect([written > 40e6, kept]).toEqual([true, 250_000]);
  expect(growth).toBeLessThan(75e6);
}, 60_000);
