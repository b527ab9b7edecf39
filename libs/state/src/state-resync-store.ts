import { type EntityManager } from 'typeorm';
import { type Grant, type PendingResync, planCopy, ResyncStore } from '#replication';
import { SourceEntity } from './entities/source.entity.ts';
import { type StateDatabase } from './state-database.ts';
import { assertNewest, guardGrant, type WriteResult } from './state-fencing.ts';
import { changeRecords } from './state-table-store.ts';

export class StateResyncStore extends ResyncStore {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    super();
    this.#database = database;
  }

  async pendingFor(source: string): Promise<PendingResync | null> {
    const row = await this.#database.run((manager) => manager.findOneBy(SourceEntity, { name: source }));
    const pending = row?.resyncPending ?? null;
    return pending === null ? null : { askedBy: pending === OF_A_LOSS ? null : pending };
  }

  async request(grant: Grant, askedBy: string | null): Promise<void> {
    const value = askedBy?.slice(0, 255) ?? OF_A_LOSS;
    const free = askedBy === null ? ' AND resync_pending IS NULL' : '';
    await this.#database.transaction((manager) => mark(manager, grant, value, free));
  }

  async withdraw(grant: Grant): Promise<void> {
    await this.#database.transaction((manager) => mark(manager, grant, null, ` AND resync_pending = '${OF_A_LOSS}'`));
  }

  async startOver(
    grant: Grant,
    tables: readonly { readonly database: string; readonly table: string }[],
  ): Promise<void> {
    await this.#database.transaction(async (manager) => {
      await guardGrant(manager, grant);
      // what topics have lost, or where they end if they are made again, is of no interest any more
      await manager.query('DELETE FROM topic_ends WHERE source = ?', [grant.source]);
      // all rows end: none can be left that is gone
      await changeRecords(manager, grant.source, tables, (record) => planCopy(record, record.estimatedRows, PENDING));
    });
  }

  async finish(grant: Grant): Promise<void> {
    await this.#database.transaction(async (manager) => {
      await mark(manager, grant, null);
      // the rows of a table that is left out have not ended
      await manager.query(
        `UPDATE table_records SET adopted = NULL, generation = generation + 1
         WHERE source = ? AND adopted IS NOT NULL AND JSON_UNQUOTE(JSON_EXTRACT(copy, '$.state')) <> 'none'`,
        [grant.source],
      );
    });
  }
}

/** In the place of an operator's name, which is never empty. */
const OF_A_LOSS = '';

const PENDING = { state: 'pending', endsGone: false } as const;

async function mark(manager: EntityManager, grant: Grant, value: string | null, where = ''): Promise<void> {
  const marked = await manager.query<WriteResult>(
    `UPDATE sources SET resync_pending = ? WHERE name = ? AND token = ?${where}`,
    [value, grant.source, grant.token],
  );
  if (marked.affectedRows === 0) await assertNewest(manager, grant);
}
