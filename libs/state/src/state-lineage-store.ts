import { type EntityManager } from 'typeorm';
import { DittoError } from '#kernel';
import { type Grant, LineageStore } from '#replication';
import { LineageChangeEntity } from './entities/lineage-change.entity.ts';
import { SourceEntity } from './entities/source.entity.ts';
import { type StateDatabase } from './state-database.ts';
import { assertNewest, type WriteResult } from './state-fencing.ts';

export interface LineageChange {
  readonly lineage: number;
  readonly reason: string;
  readonly token: number;
  readonly atMs: number;
}

export class StateLineageStore extends LineageStore {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    super();
    this.#database = database;
  }

  async current(source: string): Promise<number> {
    return this.#database.run((manager) => readLineage(manager, source));
  }

  /**
   * Raises the lineage and notes why; its reads are numbered from 1 again. The same call repeated by the same owner changes nothing; a lineage that does not
   * grow is `DITTO_STATE_LINEAGE_NOT_HIGHER` (not retriable).
   */
  async raise(grant: Grant, to: number, reason: string): Promise<void> {
    const { source, token } = grant;
    await this.#database.transaction(async (manager) => {
      const raised = await manager.query<WriteResult>(
        'UPDATE sources SET lineage = ?, read_sequence = 0 WHERE name = ? AND token = ? AND lineage < ?',
        [to, source, token, to],
      );
      if (raised.affectedRows === 0) {
        await assertNewest(manager, grant);
        await assertRaisedAlready(manager, grant, to);
        return;
      }
      await manager.insert(LineageChangeEntity, { source, lineage: to, reason, token, atMs: Date.now() });
    });
  }

  /** Newest first. */
  async history(source: string): Promise<readonly LineageChange[]> {
    const rows = await this.#database.run((manager) =>
      manager.find(LineageChangeEntity, { where: { source }, order: { lineage: 'DESC' } }),
    );
    return rows.map(({ lineage, reason, token, atMs }) => ({ lineage, reason, token, atMs }));
  }
}

async function readLineage(manager: EntityManager, source: string): Promise<number> {
  const row = await manager.findOneBy(SourceEntity, { name: source });
  return row?.lineage ?? 0;
}

async function assertRaisedAlready(manager: EntityManager, grant: Grant, to: number): Promise<void> {
  const current = await readLineage(manager, grant.source);
  const known = await manager.findOneBy(LineageChangeEntity, { source: grant.source, lineage: to });
  if (current === to && known?.token === grant.token) return;
  throw new DittoError(
    'DITTO_STATE_LINEAGE_NOT_HIGHER',
    `The lineage of source ${grant.source} is ${current}; it can't be raised to ${to}.`,
    {
      remedy: 'Restart the pipeline, so that it reads the current lineage.',
      context: { source: grant.source, current, to },
    },
  );
}
