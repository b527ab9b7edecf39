import { type EntityManager } from 'typeorm';
import { type Checkpoint, checkpointRank, type StoredCheckpoint } from '#change-events';
import { CheckpointStore, CheckpointTrail, type Grant, type PastCheckpoint } from '#replication';
import { CheckpointEntity } from './entities/checkpoint.entity.ts';
import { PastCheckpointEntity } from './entities/past-checkpoint.entity.ts';
import { type StateDatabase } from './state-database.ts';
import { assertNewest, type WriteResult } from './state-fencing.ts';

const COLUMNS = [
  'source',
  'token',
  'lineage',
  'gtid_set',
  'dispatched_set',
  'undecided_set',
  'log_file',
  'log_offset',
  'server_uuid',
  'commit_micros',
  'saved_at_ms',
  'version',
  'last_covered',
  'last_dispatched',
  'checkpoint_rank',
] as const;

/** The rank is assigned last, since MySQL assigns from left to right and the condition reads it. */
const assigned = COLUMNS.filter((column) => column !== 'source');
/** A row from before there were ranks has ''. */
const IS_NEWER = 'given.checkpoint_rank >= checkpoints.checkpoint_rank';

/**
 * One statement: the checkpoint is taken only while the row of the source, locked, has the same token. A save that
 * comes late, after a newer one of the same owner, changes nothing.
 */
const saveStatement = `
  INSERT INTO checkpoints (${COLUMNS.join(', ')})
  SELECT ${COLUMNS.map((column) => `given.${column}`).join(', ')}
  FROM (SELECT ${COLUMNS.map((column) => `? AS ${column}`).join(', ')}) AS given
  JOIN sources ON sources.name = given.source AND sources.token = given.token
  LOCK IN SHARE MODE
  ON DUPLICATE KEY UPDATE ${assigned.map((column) => `${column} = IF(${IS_NEWER}, given.${column}, checkpoints.${column})`).join(', ')}`;

/** The trail: one checkpoint of each of the last 60 times 10 s, and of each of the last 144 times 10 minutes. */
const RINGS = [
  { firstSlot: 0, slots: 60, everyMs: 10_000 },
  { firstSlot: 60, slots: 144, everyMs: 600_000 },
] as const;

export class StateCheckpointStore extends CheckpointStore {
  readonly #database: StateDatabase;
  /** By source: the last checkpoint that is known to be saved. */
  readonly #last = new Map<string, Checkpoint>();
  /** Sources of which this process has kept a checkpoint in the trail. */
  readonly #kept = new Set<string>();

  constructor(database: StateDatabase) {
    super();
    this.#database = database;
  }

  async load(source: string): Promise<StoredCheckpoint | null> {
    const row = await this.#database.run((manager) => manager.findOneBy(CheckpointEntity, { source }));
    const stored = row && toStored(row);
    if (stored !== null) this.#last.set(source, stored.checkpoint);
    return stored;
  }

  async listStored(): Promise<readonly StoredCheckpoint[]> {
    const rows = await this.#database.run((manager) => manager.find(CheckpointEntity, { order: { source: 'ASC' } }));
    return rows.map(toStored);
  }

  async save(grant: Grant, checkpoint: Checkpoint): Promise<void> {
    const { lineage, position, dispatchedSet, undecidedSet, version, commitMicros } = checkpoint;
    const { lastCovered, lastDispatched, savedAtMs } = checkpoint;
    const { gtidSet, file, offset, serverUuid } = position;
    await this.#database.transaction(async (manager) => {
      const values = [
        grant.source,
        grant.token,
        lineage,
        gtidSet,
        dispatchedSet,
        undecidedSet,
        file,
        offset,
        serverUuid,
        commitMicros,
        savedAtMs,
        version,
        lastCovered && JSON.stringify(lastCovered),
        lastDispatched && JSON.stringify(lastDispatched),
        checkpointRank(grant.token, checkpoint),
      ];
      const result = await manager.query<WriteResult>(saveStatement, values);
      if (result.affectedRows === 0) await assertNewest(manager, grant);
      await this.#keepTrail(manager, checkpoint);
    });
    this.#last.set(grant.source, checkpoint);
    this.#kept.add(grant.source);
  }

  /** Of each turn of a ring its last checkpoint is kept, when the next turn has begun; and the one that a process found. */
  async #keepTrail(manager: EntityManager, checkpoint: Checkpoint): Promise<void> {
    const last = this.#last.get(checkpoint.source) ?? checkpoint;
    const { source, lineage, version, position, lastCovered, savedAtMs } = last;
    const kept = { source, lineage, version, gtidSet: position.gtidSet, lastCovered, savedAtMs };
    const due = RINGS.filter(
      ({ everyMs }) => !this.#kept.has(source) || turnOf(savedAtMs, everyMs) !== turnOf(checkpoint.savedAtMs, everyMs),
    );
    const rows = due.map(({ firstSlot, slots, everyMs }) => ({
      ...kept,
      slot: firstSlot + (turnOf(savedAtMs, everyMs) % slots),
    }));
    if (rows.length > 0) await manager.upsert(PastCheckpointEntity, rows, ['source', 'slot']);
  }
}

function turnOf(atMs: number, everyMs: number): number {
  return Math.floor(atMs / everyMs);
}

/** Written by `StateCheckpointStore`, together with the checkpoints. */
export class StateCheckpointTrail extends CheckpointTrail {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    super();
    this.#database = database;
  }

  async list(source: string): Promise<readonly PastCheckpoint[]> {
    const rows = await this.#database.run((manager) =>
      manager.find(PastCheckpointEntity, { where: { source }, order: { lineage: 'DESC', version: 'DESC' } }),
    );
    return rows.map(({ lineage, version, gtidSet, lastCovered, savedAtMs }) => {
      return { lineage, version, gtidSet, lastCovered, savedAtMs };
    });
  }
}

function toStored(row: CheckpointEntity): StoredCheckpoint {
  const { source, lineage, gtidSet, dispatchedSet, logFile, logOffset, serverUuid, version } = row;
  const { commitMicros, lastCovered, lastDispatched, savedAtMs } = row;
  const undecidedSet = row.undecidedSet ?? '';
  const position = { gtidSet, file: logFile, offset: logOffset, serverUuid };
  const proof = { lastCovered, lastDispatched };
  return {
    token: row.token,
    checkpoint: { source, lineage, position, dispatchedSet, undecidedSet, version, commitMicros, ...proof, savedAtMs },
  };
}
