import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { describe, expect, it } from '@jest/globals';

interface Measured {
  readonly tables: number;
  readonly changesInFlight: number;
  readonly counted: number;
  readonly growth: { readonly rss: number; readonly buffers: number; readonly heap: number };
}

const MEBIBYTE = 1024 * 1024;
const TEST_MS = 60_000;
const program = join(import.meta.dirname, '..', 'test', 'stuck-publisher.ts');

/** In a process of its own, so that its resident memory is the publisher's. */
async function publishToStuckBroker(mostBytes: number): Promise<Measured> {
  const args = ['--expose-gc', '--conditions=source', program, String(mostBytes)];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env: { ...process.env, NODE_OPTIONS: '' } });
  return JSON.parse(stdout) as Measured;
}

describe('I9: 1,000 tables with 12 partitions, and a broker that reads nothing', () => {
  it(
    'counts all that open batches hold',
    async () => {
      const { tables, changesInFlight, counted, growth } = await publishToStuckBroker(Infinity);
      expect([tables, changesInFlight]).toEqual([1_000, 24_000]);
      expect(counted).toBeGreaterThan(growth.buffers + growth.heap);
      expect(growth.rss).toBeLessThan(1.5 * counted);
    },
    TEST_MS,
  );

  it(
    'holds little more than the bound when nothing is given above it',
    async () => {
      const { tables, counted, growth } = await publishToStuckBroker(8 * MEBIBYTE);
      expect(tables).toBeGreaterThan(10);
      expect(counted).toBeLessThan(9 * MEBIBYTE);
      expect(growth.rss).toBeLessThan(32 * MEBIBYTE);
    },
    TEST_MS,
  );
});
