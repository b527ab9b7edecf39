import { type Checkpoint, checkpointRank, type StoredCheckpoint } from '#change-events';
import { CheckpointStore, type Grant } from '#replication';
import { CheckpointEntity } from './entities/checkpoint.entity.ts';
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

export class StateCheckpointStore extends CheckpointStore {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    super();
    this.#database = database;
  }

  async load(source: string): Promise<StoredCheckpoint | null> {
    const row = await this.#database.run((manager) => manager.findOneBy(CheckpointEntity, { source }));
    return row && toStored(row);
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
