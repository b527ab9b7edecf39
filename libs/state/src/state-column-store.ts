import { ColumnStore, type Grant, restartCopy } from '#replication';
import { SourceEntity } from './entities/source.entity.ts';
import { type StateDatabase } from './state-database.ts';
import { assertNewest, type WriteResult } from './state-fencing.ts';
import { changeRecords } from './state-table-store.ts';

export class StateColumnStore extends ColumnStore {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    super();
    this.#database = database;
  }

  async excludedBy(source: string): Promise<readonly string[] | null> {
    const row = await this.#database.run((manager) => manager.findOneBy(SourceEntity, { name: source }));
    return row?.excludedColumns ?? null;
  }

  async adopt(
    grant: Grant,
    patterns: readonly string[],
    tables: readonly { readonly database: string; readonly table: string }[],
  ): Promise<void> {
    const { source, token } = grant;
    await this.#database.transaction(async (manager) => {
      const guard = await manager.query<WriteResult>(
        'UPDATE sources SET excluded_columns = ? WHERE name = ? AND token = ?',
        [JSON.stringify(patterns), source, token],
      );
      if (guard.affectedRows === 0) await assertNewest(manager, grant);
      await changeRecords(manager, source, tables, (record) => restartCopy(record), true);
    });
  }
}
