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
    const change = 'switch_to = ?, switch_asked_by = ? WHERE name = ? AND token = ?';
    await this.#update(grant, change, [to, askedBy.slice(0, 255), grant.source, grant.token]);
  }

  async finish(grant: Grant, { to }: PendingSwitch): Promise<void> {
    const none = 'switch_to = NULL, switch_asked_by = NULL';
    await this.#update(grant, `${none} WHERE name = ? AND token = ? AND switch_to = ?`, [
      grant.source,
      grant.token,
      to,
    ]);
  }

  async #update(grant: Grant, change: string, values: readonly unknown[]): Promise<void> {
    await this.#database.transaction(async (manager) => {
      const { affectedRows } = await manager.query<WriteResult>(`UPDATE sources SET ${change}`, [...values]);
      if (affectedRows === 0) await assertNewest(manager, grant);
    });
  }
}
