import { type EntityManager } from 'typeorm';
import { type Grant } from '#replication';
import { SourceEntity } from './entities/source.entity.ts';
import { type StateDatabase } from './state-database.ts';
import { createFencedError } from './state-error.ts';

/** What an INSERT or UPDATE reports; `affectedRows` counts rows found, changed or not (mysql2 sets CLIENT_FOUND_ROWS). */
export interface WriteResult {
  readonly affectedRows: number;
}

/** Where fencing tokens come from (I5): the newest one is the row of the source, and nothing else is. */
export class StateFencing {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    this.#database = database;
  }

  /**
   * Makes every earlier token of the source worthless and returns the new one. Whoever calls decides who may.
   * It is also above `above`: the highest token that a cache has seen, in case this database was restored from a backup.
   */
  async grant(source: string, owner: string, above = 0): Promise<number> {
    return this.#database.transaction(async (manager) => {
      const now = Date.now();
      await manager.query(
        `INSERT INTO sources (name, token, owner, granted_at_ms, first_seen_ms) VALUES (?, ? + 1, ?, ?, ?)
         ON DUPLICATE KEY UPDATE token = GREATEST(token, ?) + 1, owner = ?, granted_at_ms = ?`,
        [source, above, owner, now, now, above, owner, now],
      );
      return readToken(manager, source);
    });
  }

  /** 0 when the source was never granted. */
  async currentToken(source: string): Promise<number> {
    return this.#database.run((manager) => readToken(manager, source));
  }

  /** Names of all sources that were ever granted. */
  async listSources(): Promise<readonly string[]> {
    const sources = await this.#database.run((manager) =>
      manager.find(SourceEntity, { select: { name: true }, order: { name: 'ASC' } }),
    );
    return sources.map(({ name }) => name);
  }
}

async function readToken(manager: EntityManager, source: string): Promise<number> {
  const row = await manager.findOne(SourceEntity, { select: { name: true, token: true }, where: { name: source } });
  return row?.token ?? 0;
}

/** For a transaction: locks the row of the source, which has the grant's token until the transaction ends. */
export async function guardGrant(manager: EntityManager, grant: Grant): Promise<void> {
  const guard = await manager.query<WriteResult>('UPDATE sources SET token = token WHERE name = ? AND token = ?', [
    grant.source,
    grant.token,
  ]);
  if (guard.affectedRows === 0) await assertNewest(manager, grant);
}

/** For a guarded write that found no row: why. */
export async function assertNewest(manager: EntityManager, grant: Grant): Promise<void> {
  const newest = await readToken(manager, grant.source);
  if (newest !== grant.token) throw createFencedError(grant.source, grant.token, newest);
}
