import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { DittoError } from '#kernel';
import { describeFailure } from './failure.ts';

test('says what failed, why, what helps, and the last 20 lines of the log', () => {
  const folder = mkdtempSync(join(tmpdir(), 'demo-failure-'));
  const log = join(folder, 'dss.log');
  writeFileSync(log, Array.from({ length: 30 }, (_, n) => `line ${n}\n`).join(''));
  const cause = new Error('connection refused');
  const error = new DittoError('DITTO_X_Y', 'DSS ended.', { remedy: 'Start it.', context: { log }, cause });
  const lines = describeFailure(error, folder);
  rmSync(folder, { recursive: true });
  expect(lines.slice(0, 5)).toEqual([
    'The demo failed: DSS ended.',
    '  because: connection refused',
    'Code: DITTO_X_Y',
    'Remedy: Start it.',
    `The last lines of ${log}:`,
  ]);
  expect(lines.slice(5)).toEqual(Array.from({ length: 20 }, (_, n) => `  line ${n + 10}`));
});

test('an error of another kind names the folder of the logs', () => {
  expect(describeFailure(new TypeError('oops'), '/x')).toEqual(['The demo failed: oops', 'Logs are in /x.']);
});
