import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { buildOnce, findCacheFolder, withLock } from './cache.ts';
import { Progress } from './progress.ts';

const progress = new Progress('test', () => undefined);
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ditto-cache-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('findCacheFolder', () => {
  it('prefers its own variable, then the shared one, then the home folder', () => {
    expect(findCacheFolder({ DITTO_CACHE: '/a', XDG_CACHE_HOME: '/b' })).toBe('/a');
    expect(findCacheFolder({ DITTO_CACHE: '', XDG_CACHE_HOME: '/b' })).toBe('/b/ditto');
    expect(findCacheFolder({})).toMatch(/\/\.cache\/ditto$/);
  });
});

describe('buildOnce', () => {
  it('builds once for two that ask at the same time, and both see the whole result', async () => {
    let builds = 0;
    const target = join(folder, 'thing');
    const ask = (): Promise<string> =>
      buildOnce(target, progress, async (temporary) => {
        builds++;
        writeFileSync(join(temporary, 'a'), '1');
        await sleep(50);
        expect(existsSync(target)).toBe(false);
        writeFileSync(join(temporary, 'b'), '2');
      }).then(() => readFileSync(join(target, 'b'), 'utf8'));
    expect(await Promise.all([ask(), ask()])).toEqual(['2', '2']);
    expect(builds).toBe(1);
  });

  it('leaves nothing behind when the build fails, and builds again', async () => {
    const target = join(folder, 'thing');
    await expect(buildOnce(target, progress, () => Promise.reject(new Error('no network')))).rejects.toThrow(
      'no network',
    );
    expect(readdirSync(folder)).toEqual(['thing.lock']);
    await buildOnce(target, progress, () => Promise.resolve());
    expect(existsSync(target)).toBe(true);
  });

  it('removes what a killed builder left', async () => {
    const target = join(folder, 'thing');
    rmSync(mkdtempSync(`${target}.new-`), { recursive: true });
    const leftover = mkdtempSync(`${target}.new-`);
    await buildOnce(target, progress, () => Promise.resolve());
    expect(existsSync(leftover)).toBe(false);
  });
});

describe('withLock', () => {
  it('lets one in at a time and the next one after a failure', async () => {
    const file = join(folder, 'lock');
    const order: string[] = [];
    const first = withLock(file, progress, async () => {
      order.push('first in');
      await sleep(50);
      order.push('first out');
      throw new Error('failed inside');
    });
    const firstFails = expect(first).rejects.toThrow('failed inside');
    await sleep(20);
    await withLock(file, progress, () => Promise.resolve(order.push('second')));
    await firstFails;
    expect(order).toContain('second');
    expect(order.indexOf('first out') - order.indexOf('first in')).toBe(1);
  });
});
