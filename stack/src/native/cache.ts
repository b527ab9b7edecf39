import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { homedir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import type { Progress } from './progress.ts';

/** Where downloads, builds and templates are kept: `$DITTO_CACHE`, `$XDG_CACHE_HOME/ditto` or `~/.cache/ditto`. */
export function findCacheFolder(environment: NodeJS.ProcessEnv): string {
  const { DITTO_CACHE: own, XDG_CACHE_HOME: shared } = environment;
  if (own !== undefined && own !== '') return resolve(own);
  return join(shared !== undefined && shared !== '' ? resolve(shared) : join(homedir(), '.cache'), 'ditto');
}

/**
 * Builds `folder` once: in a folder beside it, which is renamed when `build` is done, so that it is never seen
 * half-made; under a lock, so that a second process waits and then finds it.
 */
export async function buildOnce(
  folder: string,
  progress: Progress,
  build: (temporary: string) => Promise<void>,
): Promise<void> {
  if (existsSync(folder)) return;
  await withLock(`${folder}.lock`, progress, async () => {
    if (existsSync(folder)) return;
    removeLeftovers(folder);
    const temporary = mkdtempSync(`${folder}.new-`);
    try {
      await build(temporary);
      renameSync(temporary, folder);
    } finally {
      rmSync(temporary, { recursive: true, force: true, maxRetries: 5 });
    }
  });
}

/** Half-made folders of builders that were killed; the lock says that none is at work. */
function removeLeftovers(folder: string): void {
  for (const name of readdirSync(dirname(folder)))
    if (name.startsWith(`${basename(folder)}.new-`))
      rmSync(join(dirname(folder), name), { recursive: true, force: true });
}

/** A lock of the kernel (flock), so that it ends with its holder however that one ends. */
export async function withLock<T>(file: string, progress: Progress, work: () => Promise<T>): Promise<T> {
  mkdirSync(dirname(file), { recursive: true });
  const holder = spawn('flock', ['--exclusive', file, 'sh', '-c', 'echo held; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  });
  const ended = once(holder, 'close');
  const waiting = setTimeout(() => progress.line('waiting for another process that prepares the same'), 2_000);
  try {
    await Promise.race([
      once(holder.stdout, 'data'),
      ended.then(() => {
        throw new Error(`flock could not lock ${file}`);
      }),
    ]);
    clearTimeout(waiting);
    return await work();
  } finally {
    clearTimeout(waiting);
    holder.stdin.end();
    await ended;
  }
}
