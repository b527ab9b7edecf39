import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';

interface Measured {
  readonly gathered: { readonly counted: number; readonly alive: number };
  readonly sent: { readonly counted: number; readonly alive: number; readonly rss: number };
  readonly commands: number;
}

const TEST_MS = 60_000;
const program = join(import.meta.dirname, '..', 'test', 'stuck-mirror.ts');

/** In a process of its own, where nothing else is alive. */
async function writeToStuckServer(tables: number, rowsOfTable: number): Promise<Measured> {
  const args = ['--expose-gc', '--conditions=source', program, String(tables), String(rowsOfTable)];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env: { ...process.env, NODE_OPTIONS: '' } });
  return JSON.parse(stdout) as Measured;
}

describe('I9: a server that never answers', () => {
  it(
    'rows of one table are counted as what their values hold, and their documents while they are sent',
    async () => {
      const { gathered, sent, commands } = await writeToStuckServer(1, 20_000);
      expect(commands).toBe(4);
      expect(gathered.counted).toBeGreaterThan(gathered.alive);
      expect(gathered.counted).toBeLessThan(1.5 * gathered.alive);
      expect(sent.counted).toBeGreaterThan(sent.alive);
    },
    TEST_MS,
  );

  it(
    'commands of 1,000 tables are counted, and hold no more than their documents need',
    async () => {
      const { sent, commands } = await writeToStuckServer(1_000, 4);
      expect(commands).toBeGreaterThan(1_000);
      expect(sent.counted).toBeGreaterThan(sent.alive);
      expect(sent.rss).toBeLessThan(64 * 1024 * 1024);
    },
    TEST_MS,
  );
});
