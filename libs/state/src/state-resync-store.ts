import { type EntityManager } from 'typeorm';
import { type Grant, planCopy, ResyncStore } from '#replication';
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

  async pendingFor(source: string): Promise<string | null> {
    const row = await this.#database.run((manager) => manager.findOneBy(SourceEntity, { name: source }));
    return row?.resyncPending ?? null;
  }

  async request(grant: Grant, askedBy: string): Promise<void> {
    await this.#database.transaction((manager) => mark(manager, grant, askedBy.slice(0, 255)));
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

const PENDING = { state: 'pending', endsGone: false } as const;

async function mark(manager: EntityManager, grant: Grant, askedBy: string | null): Promise<void> {
  const marked = await manager.query<WriteResult>(
    'UPDATE sources SET resync_pending = ? WHERE name = ? AND token = ?',
    [askedBy, grant.source, grant.token],
  );
  if (marked.affectedRows === 0) await assertNewest(manager, grant);
}
