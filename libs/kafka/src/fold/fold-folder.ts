import { hash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { DittoError } from '#kernel';

const LOCK = '.lock';
const ATTEMPTS = 3;

/**
 * A folder for the stores of one worker, in a folder that workers share. A lock file beside it says that its worker
 * lives: the system frees the lock when the process ends, however it ends, and a process id can't be mistaken for another
 * one's. What dead workers have left is removed when the next one opens.
 */
export class FoldFolder {
  readonly #path: string;
  readonly #lock: DatabaseSync;

  /** Throws `DITTO_KAFKA_FOLD_FOLDER` when the folder can't be used. */
  constructor(shared: string) {
    try {
      mkdirSync(shared, { recursive: true, mode: 0o700 });
      removeLeftOvers(shared);
      [this.#path, this.#lock] = claim(shared);
    } catch (cause) {
      throw unusable(shared, cause);
    }
  }

  /** The file for a topic; it may be there already. */
  pathOf(topic: string): string {
    return join(this.#path, `${hash('sha256', topic)}.sqlite`);
  }

  /** Removes all stores. They are closed by then. */
  close(): void {
    rmSync(this.#path, { recursive: true, force: true });
    rmSync(this.#path + LOCK, { force: true });
    this.#lock.close();
  }
}

/** `path`: the folder, or a file in it. */
export function unusable(path: string, cause: unknown): DittoError {
  return new DittoError('DITTO_KAFKA_FOLD_FOLDER', `folded topics can't be kept in ${path}`, {
    remedy: 'Give a folder on a local disk with room, that this user may write to (`dws.folds.folder`).',
    context: { path },
    cause,
  });
}

function removeLeftOvers(shared: string): void {
  const names = readdirSync(shared);
  for (const name of names) {
    const path = join(shared, name);
    // a folder is made after its lock and removed before it: one without a lock has no owner
    if (!name.endsWith(LOCK)) {
      if (!existsSync(path + LOCK)) rmSync(path, { recursive: true, force: true });
      continue;
    }
    const lock = tryLock(path);
    if (lock === null) continue;
    rmSync(path.slice(0, -LOCK.length), { recursive: true, force: true });
    rmSync(path, { force: true });
    lock.close();
  }
}

function claim(shared: string): [path: string, lock: DatabaseSync] {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const path = join(shared, randomUUID());
    const lock = tryLock(path + LOCK);
    // another worker that opens at this moment may have taken the new file for a left-over
    if (lock !== null && existsSync(path + LOCK)) {
      mkdirSync(path, { mode: 0o700 });
      return [path, lock];
    }
    lock?.close();
  }
  throw new Error('no file can be locked there');
}

/** Null when another process, or this one, has the lock. */
function tryLock(path: string): DatabaseSync | null {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    // without a file for the journal beside it
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    return database;
  } catch {
    database.close();
    return null;
  }
}
