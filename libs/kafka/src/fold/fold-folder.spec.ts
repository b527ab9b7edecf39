import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { FoldFolder } from './fold-folder.ts';
import { FoldStore } from './fold-store.ts';

const program = join(import.meta.dirname, '..', '..', 'test', 'hold-fold-folder.ts');
const workers: ChildProcess[] = [];
let shared: string;

beforeEach(() => {
  shared = mkdtempSync(join(tmpdir(), 'ditto-folds-'));
});

afterEach(() => {
  for (const worker of workers.splice(0)) worker.kill('SIGKILL');
  rmSync(shared, { recursive: true, force: true });
});

describe('FoldFolder', () => {
  it('removes its stores when its worker ends, and nothing of another one', () => {
    const [a, b] = [new FoldFolder(shared), new FoldFolder(shared)];
    const paths = [a, b].map((folder) => folder.pathOf('eu.shop.orders'));
    for (const path of paths) new FoldStore(path).close();
    expect(new Set(paths).size).toBe(2);
    a.close();
    expect(paths.map((path) => existsSync(path))).toEqual([false, true]);
    b.close();
    expect(readdirSync(shared)).toEqual([]);
  });

  it('leaves the stores of a worker that lives, and removes those of one that was killed', async () => {
    const worker = spawn(process.execPath, ['--conditions=source', program, shared], {
      env: { ...process.env, NODE_OPTIONS: '' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    workers.push(worker);
    const [path] = (await once(worker.stdout, 'data')) as [Buffer];
    const store = path.toString().trim();
    new FoldFolder(shared).close();
    expect(existsSync(store)).toBe(true);
    worker.kill('SIGKILL');
    await once(worker, 'exit');
    expect(existsSync(store)).toBe(true);
    new FoldFolder(shared).close();
    expect(readdirSync(shared)).toEqual([]);
  }, 30_000);

  it('removes a folder without a lock', () => {
    mkdirSync(join(shared, 'orphan'));
    new FoldFolder(shared).close();
    expect(readdirSync(shared)).toEqual([]);
  });

  it('says when the folder can not be used', () => {
    const file = join(shared, 'file');
    writeFileSync(file, '');
    expect(() => new FoldFolder(join(file, 'below'))).toThrow(
      expect.objectContaining({ code: 'DITTO_KAFKA_FOLD_FOLDER' }),
    );
  });
});
