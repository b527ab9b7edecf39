import { expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');

it('I4, I7: the demo copies and follows a shop that is written to, also when its primary is killed, and proves that nothing differs', async () => {
  const args = ['--conditions=source', join(root, 'demo', 'main.ts'), '--rows', '6000', '--follow-seconds', '2'];
  const demo = spawn(process.execPath, args, { cwd: root, env: { ...process.env, NODE_OPTIONS: '' } });
  let output = '';
  for (const stream of [demo.stdout, demo.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => demo.on('close', resolve));
  expect({ code, end: code === 0 ? '' : output.slice(-3000) }).toEqual({ code: 0, end: '' });
  expect(output).toContain('Sabotage: 40 documents');
  expect(output).toMatch(/DWS has found [1-9]\d* of 40 damages and repaired them/);
  expect(output).toMatch(/The primary, \S+, is killed while rows are written/);
  expect(output).toMatch(/The sinks were given [1-9][\d,]* transactions: does it have them\?/);
  expect(output).toMatch(
    /It has all (of them, as it says itself|but [1-9]\d* transactions, which died with the primary)/,
  );
  expect(output).toMatch(/The source has moved to \S+ by itself, [\d.]+ m?s after the kill/);
  expect(output).toContain('Nothing differs.');
  expect(output).toMatch(/Compared [\d,]+ rows of 6 tables/);
}, 180_000);
