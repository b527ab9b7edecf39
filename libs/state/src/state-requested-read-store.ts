import { type Grant, type NewRead, type ReadProgress, type RequestedRead, RequestedReadStore } from '#replication';
import { RequestedReadEntity } from './entities/requested-read.entity.ts';
import { type StateDatabase } from './state-database.ts';
import { guardGrant, type WriteResult } from './state-fencing.ts';

const NOTHING_READ = { read: 0, emitted: 0, gone: 0 };

export class StateRequestedReadStore extends RequestedReadStore {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    super();
    this.#database = database;
  }

  async accept({ id, source, database, table, scope, reason, actor, acceptedAtMs }: NewRead): Promise<void> {
    await this.#database.transaction((manager) =>
      manager.query(
        `INSERT INTO requested_reads
           (id, source, database_name, table_name, scope, reason, actor, state, is_open, counts, confirmed_keys, accepted_at_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, 'accepted', TRUE, ?, 0, ?) ON DUPLICATE KEY UPDATE id = id`,
        [
          id,
          source,
          database,
          table,
          JSON.stringify(scope),
          reason.slice(0, 512),
          actor.slice(0, 255),
          JSON.stringify(NOTHING_READ),
          acceptedAtMs,
        ],
      ),
    );
  }

  async find(id: string): Promise<RequestedRead | null> {
    const row = await this.#database.run((manager) => manager.findOneBy(RequestedReadEntity, { id }));
    return row && toRead(row);
  }

  async listOpen(source: string, most: number): Promise<readonly RequestedRead[]> {
    const rows = await this.#database.run((manager) =>
      manager.find(RequestedReadEntity, {
        where: { source, isOpen: true },
        order: { acceptedAtMs: 'ASC', id: 'ASC' },
        take: most,
      }),
    );
    return rows.map(toRead);
  }

  async save(grant: Grant, id: string, progress: ReadProgress): Promise<boolean> {
    const { state, counts, confirmedKeys, error } = progress;
    const isOpen = state === 'accepted' || state === 'running';
    const now = Date.now();
    return this.#database.transaction(async (manager) => {
      await guardGrant(manager, grant);
      const saved = await manager.query<WriteResult>(
        `UPDATE requested_reads SET state = ?, is_open = ?, counts = ?, confirmed_keys = ?, error = ?,
           started_at_ms = COALESCE(started_at_ms, ?), ended_at_ms = ?
         WHERE id = ? AND source = ? AND is_open`,
        [
          state,
          isOpen,
          JSON.stringify(counts),
          confirmedKeys,
          error && JSON.stringify(error),
          now,
          isOpen ? null : now,
          id,
          grant.source,
        ],
      );
      return saved.affectedRows > 0;
    });
  }

  async cancel(id: string): Promise<boolean> {
    return this.#database.transaction(async (manager) => {
      const cancelled = await manager.query<WriteResult>(
        `UPDATE requested_reads SET state = 'cancelled', is_open = FALSE, ended_at_ms = ? WHERE id = ? AND is_open`,
        [Date.now(), id],
      );
      return cancelled.affectedRows > 0;
    });
  }
}

function toRead(row: RequestedReadEntity): RequestedRead {
  const { id, source, database, table, scope, reason, actor, acceptedAtMs, startedAtMs, endedAtMs } = row;
  const { state, counts, confirmedKeys, error } = row;
  return {
    ...{ id, source, database, table, scope, reason, actor, acceptedAtMs, startedAtMs, endedAtMs },
    ...{ state, counts, confirmedKeys, error },
  };
}
