import { mkdtempSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, jest } from '@jest/globals';
import { silentLogger, sleep } from '#kernel';
import { LivenessFile } from './liveness-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'ditto-liveness-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('LivenessFile', () => {
  it('is there at once and touched again and again, as long as the event loop turns', async () => {
    const path = join(folder, 'alive');
    new LivenessFile(path, silentLogger).keep(10);
    expect(readFileSync(path, 'utf8')).toBe('');
    const ageMs = (): number => Date.now() - statSync(path).mtimeMs;
    utimesSync(path, 0, 0);
    while (ageMs() > 60_000) await sleep(5);

    utimesSync(path, 0, 0);
    const until = performance.now() + 50;
    while (performance.now() < until); // nothing else can run
    expect(ageMs()).toBeGreaterThan(60_000);
  });

  it('warns once where it can not be written', async () => {
    const warn = jest.fn();
    new LivenessFile(join(folder, 'missing', 'alive'), { ...silentLogger, warn }).keep(1);
    await sleep(20);
    expect(warn.mock.calls).toEqual([
      [expect.stringContaining('can not be written'), expect.objectContaining({ error: expect.any(String) })],
    ]);
  });
});
