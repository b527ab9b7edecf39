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
    if (row?.switchTo == null) return null;
    return { to: row.switchTo, askedBy: row.switchAskedBy, givesUp: row.switchGivesUp ?? '' };
  }

  async request(grant: Grant, { to, askedBy, givesUp }: PendingSwitch): Promise<boolean> {
    // what an operator asked for meanwhile comes first
    const free = askedBy === null ? ' AND (switch_to IS NULL OR switch_asked_by IS NULL)' : '';
    const change = `switch_to = ?, switch_asked_by = ?, switch_gives_up = ? WHERE name = ? AND token = ?${free}`;
    const values = [to, askedBy?.slice(0, 255) ?? null, givesUp === '' ? null : givesUp, grant.source, grant.token];
    return this.#update(grant, change, values);
  }

  async finish(grant: Grant, { to, givesUp }: PendingSwitch): Promise<void> {
    const none = 'switch_to = NULL, switch_asked_by = NULL, switch_gives_up = NULL';
    const same = "switch_to = ? AND COALESCE(switch_gives_up, '') = ?";
    const values = [grant.source, grant.token, to, givesUp];
    await this.#update(grant, `${none} WHERE name = ? AND token = ? AND ${same}`, values);
  }

  /** Whether there was something to change. */
  async #update(grant: Grant, change: string, values: readonly unknown[]): Promise<boolean> {
    return this.#database.transaction(async (manager) => {
      const { affectedRows } = await manager.query<WriteResult>(`UPDATE sources SET ${change}`, [...values]);
      if (affectedRows === 0) await assertNewest(manager, grant);
      return affectedRows > 0;
    });
  }
}
