import { type Grant, KeyStore, type TableKey } from '#replication';
import { TableKeyEntity } from './entities/table-key.entity.ts';
import { type StateDatabase } from './state-database.ts';
import { guardGrant } from './state-fencing.ts';

/** Rows of one statement: their keys may have many columns. */
const MOST_AT_ONCE = 500;

export class StateKeyStore extends KeyStore {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    super();
    this.#database = database;
  }

  async load(source: string): Promise<readonly TableKey[]> {
    const rows = await this.#database.run((manager) => manager.find(TableKeyEntity, { where: { source } }));
    return rows.map(({ database, table, key, since }) => ({ database, table, key, since }));
  }

  async save(grant: Grant, keys: readonly TableKey[]): Promise<void> {
    const { source } = grant;
    await this.#database.transaction(async (manager) => {
      await guardGrant(manager, grant);
      for (let at = 0; at < keys.length; at += MOST_AT_ONCE)
        await manager.upsert(
          TableKeyEntity,
          keys.slice(at, at + MOST_AT_ONCE).map((key) => ({ source, ...key })),
          ['source', 'database', 'table'],
        );
    });
  }

  async forget(
    grant: Grant,
    { database, table }: { readonly database: string; readonly table: string },
  ): Promise<void> {
    await this.#database.transaction(async (manager) => {
      await guardGrant(manager, grant);
      await manager.delete(TableKeyEntity, { source: grant.source, database, table });
    });
  }
}
