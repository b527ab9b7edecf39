import { type Grant, type PendingSwitch, SwitchStore } from '#replication';
import { SourceEntity } from './entities/source.entity.ts';
import { type StateDatabase } from './state-database.ts';
import { assertNewest, type WriteResult } from './state-fencing.ts';

export class StateSwitchStore extends SwitchStore {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    super();
    this.#database = database;
  }

  async pendingFor(source: string): Promise<PendingSwitch | null> {
    const row = await this.#database.run((manager) => manager.findOneBy(SourceEntity, { name: source }));
    return row?.switchTo == null ? null : { to: row.switchTo, askedBy: row.switchAskedBy ?? '' };
  }

  async request(grant: Grant, { to, askedBy }: PendingSwitch): Promise<void> {
    await this.#mark(grant, to, askedBy.slice(0, 255));
  }

  async finish(grant: Grant): Promise<void> {
    await this.#mark(grant, null, null);
  }

  async #mark(grant: Grant, to: string | null, askedBy: string | null): Promise<void> {
    await this.#database.transaction(async (manager) => {
      const marked = await manager.query<WriteResult>(
        'UPDATE sources SET switch_to = ?, switch_asked_by = ? WHERE name = ? AND token = ?',
        [to, askedBy, grant.source, grant.token],
      );
      if (marked.affectedRows === 0) await assertNewest(manager, grant);
    });
  }
}
