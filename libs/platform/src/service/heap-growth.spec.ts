import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';

const program = join(import.meta.dirname, '..', '..', 'test', 'passing-load.ts');

/**
 * V8 marks beside the program, so a run grows by what the program allocates meanwhile: by 41 to 82 MB in 40 runs. The
 * lowest of three says what the limit allows; without the limit's share of 60 per cent (with 150) it was never below 88.
 */
test('I9: what passes through a service is collected before it has grown by more than 80 MB', async () => {
  const args = ['--conditions=source', program];
  const growths: number[] = [];
  for (let run = 0; run < 3; run++) {
    const { stdout } = await promisify(execFile)(process.execPath, args, { env: { ...process.env, NODE_OPTIONS: '' } });
    const { growth, written, kept } = JSON.parse(stdout) as { growth: number; written: number; kept: number };
    expect([written > 40e6, kept]).toEqual([true, 250_000]);
    growths.push(growth);
  }
  expect(Math.min(...growths)).toBeLessThan(80e6);
}, 90_000);
