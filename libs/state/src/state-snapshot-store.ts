import { type Grant, SnapshotStore, type TableSnapshotProgress } from '#replication';
import { SourceEntity } from './entities/source.entity.ts';
import { TableSnapshotEntity } from './entities/table-snapshot.entity.ts';
import { type StateDatabase } from './state-database.ts';
import { assertNewest, guardGrant, type WriteResult } from './state-fencing.ts';

export class StateSnapshotStore extends SnapshotStore {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    super();
    this.#database = database;
  }

  async load(source: string): Promise<readonly TableSnapshotProgress[]> {
    const rows = await this.#database.run((manager) =>
      manager.find(TableSnapshotEntity, { where: { source }, order: { database: 'ASC', table: 'ASC' } }),
    );
    return rows.map(({ database, table, state, lastKey, rowsRead, estimatedRows, reason, endsBelow, again }) => ({
      database,
      table,
      state,
      lastKey,
      rowsRead,
      estimatedRows,
      reason,
      endsBelow,
      again,
    }));
  }

  async save(grant: Grant, progress: readonly TableSnapshotProgress[]): Promise<void> {
    await this.#database.transaction(async (manager) => {
      await guardGrant(manager, grant);
      const rows = progress.map((table) => ({ source: grant.source, ...table }));
      await manager.upsert(TableSnapshotEntity, rows, ['source', 'database', 'table']);
    });
  }

  /** A write that lands late changes nothing: a lower number is kept by nobody. */
  async reserveReads(grant: Grant, upTo: number): Promise<void> {
    await this.#database.transaction(async (manager) => {
      const reserved = await manager.query<WriteResult>(
        'UPDATE sources SET read_sequence = GREATEST(read_sequence, ?) WHERE name = ? AND token = ?',
        [upTo, grant.source, grant.token],
      );
      if (reserved.affectedRows === 0) await assertNewest(manager, grant);
    });
  }

  async reservedReads(source: string): Promise<number> {
    const row = await this.#database.run((manager) => manager.findOneBy(SourceEntity, { name: source }));
    return row?.readSequence ?? 0;
  }
}
