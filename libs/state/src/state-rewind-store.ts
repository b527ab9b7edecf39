import { type EntityManager } from 'typeorm';
import { type Grant, restartCopy, RewindStore } from '#replication';
import { SourceEntity } from './entities/source.entity.ts';
import { type StateDatabase } from './state-database.ts';
import { guardGrant } from './state-fencing.ts';
import { changeRecords } from './state-table-store.ts';

export class StateRewindStore extends RewindStore {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    super();
    this.#database = database;
  }

  async pendingFor(source: string): Promise<string | null> {
    const row = await this.#database.run((manager) => manager.findOneBy(SourceEntity, { name: source }));
    return row?.rewindPending ?? null;
  }

  async request(grant: Grant, askedBy: string): Promise<void> {
    await this.#database.transaction(async (manager) => {
      await guardGrant(manager, grant);
      await mark(manager, grant.source, askedBy.slice(0, 255));
    });
  }

  async giveUp(grant: Grant): Promise<void> {
    await this.#database.transaction(async (manager) => {
      await guardGrant(manager, grant);
      await mark(manager, grant.source, null);
    });
  }

  async finish(grant: Grant, tables: readonly { readonly database: string; readonly table: string }[]): Promise<void> {
    const { source } = grant;
    await this.#database.transaction(async (manager) => {
      await guardGrant(manager, grant);
      await changeRecords(manager, source, tables, (record) => restartCopy(record));
      await manager.query(
        `UPDATE topic_ends SET confirmed_end = surviving_end, surviving_end = NULL
         WHERE source = ? AND surviving_end IS NOT NULL`,
        [source],
      );
      await mark(manager, source, null);
    });
  }
}

async function mark(manager: EntityManager, source: string, askedBy: string | null): Promise<void> {
  await manager.query('UPDATE sources SET rewind_pending = ? WHERE name = ?', [askedBy, source]);
}
