import { type Grant, LogAcceptanceStore } from '#replication';
import { SourceEntity } from './entities/source.entity.ts';
import { type StateDatabase } from './state-database.ts';
import { assertNewest, type WriteResult } from './state-fencing.ts';

export class StateLogAcceptanceStore extends LogAcceptanceStore {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    super();
    this.#database = database;
  }

  async acceptedBy(source: string): Promise<string | null> {
    const row = await this.#database.run((manager) => manager.findOneBy(SourceEntity, { name: source }));
    return row?.logAcceptedBy ?? null;
  }

  async accept(grant: Grant, acceptedBy: string): Promise<void> {
    await this.#mark(grant, acceptedBy.slice(0, 255));
  }

  async finish(grant: Grant): Promise<void> {
    await this.#mark(grant, null);
  }

  async #mark(grant: Grant, acceptedBy: string | null): Promise<void> {
    await this.#database.transaction(async (manager) => {
      const marked = await manager.query<WriteResult>(
        'UPDATE sources SET log_accepted_by = ? WHERE name = ? AND token = ?',
        [acceptedBy, grant.source, grant.token],
      );
      if (marked.affectedRows === 0) await assertNewest(manager, grant);
    });
  }
}
