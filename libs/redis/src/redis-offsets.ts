import { type Checkpoint, checkpointRank, type StoredCheckpoint } from '#change-events';
import { type Grant } from '#replication';
import { type RedisConnection } from './redis-connection.ts';

/**
 * What became of a put. `unverified`: Redis has never seen a token this high, so it has lost something; ask the state
 * database for the newest token and put again with it. `late`: something newer of the same owner is there already.
 */
export type PutOutcome = 'stored' | 'late' | 'fenced' | 'unverified';

/** The hot copy of the checkpoints, under compare-and-set by fencing token (I5). */
export class RedisOffsets {
  readonly #redis: RedisConnection;

  constructor(redis: RedisConnection) {
    this.#redis = redis;
  }

  /** `verifiedToken`: newest token of the source as the state database has just said; 0 when it was not asked. */
  async put(
    grant: Grant,
    checkpoint: Checkpoint,
    verifiedToken = 0,
  ): Promise<{ readonly outcome: PutOutcome; readonly newestToken: number }> {
    const { keys } = this.#redis;
    const [outcome, newestToken] = (await this.#redis.runScript(
      'dittoPutOffset',
      [keys.token(grant.source), keys.offset(grant.source)],
      [grant.token, checkpointRank(grant.token, checkpoint), JSON.stringify(checkpoint), verifiedToken],
    )) as [PutOutcome, number];
    if (outcome === 'stored') await this.#redis.run((client) => client.sadd(keys.sources(), grant.source));
    return { outcome, newestToken };
  }

  async get(source: string): Promise<StoredCheckpoint | null> {
    const fields = await this.#redis.run((client) => client.hgetall(this.#redis.keys.offset(source)));
    return toStored(fields);
  }

  async list(): Promise<readonly StoredCheckpoint[]> {
    const { keys } = this.#redis;
    return this.#redis.run(async (client) => {
      const sources = (await client.smembers(keys.sources())).sort();
      const offsets = await Promise.all(sources.map((source) => client.hgetall(keys.offset(source))));
      return offsets.map(toStored).filter((offset) => offset !== null);
    });
  }

  /** Puts back what the state database holds, unless Redis has something newer. Raises no token. */
  async restore({ token, checkpoint }: StoredCheckpoint): Promise<void> {
    const { keys } = this.#redis;
    const { source } = checkpoint;
    await this.#redis.runScript(
      'dittoRestoreOffset',
      [keys.offset(source)],
      [token, checkpointRank(token, checkpoint), JSON.stringify(checkpoint)],
    );
    await this.#redis.run((client) => client.sadd(keys.sources(), source));
  }
}

function toStored(fields: Readonly<Record<string, string>>): StoredCheckpoint | null {
  const { token, checkpoint } = fields;
  return token === undefined || checkpoint === undefined
    ? null
    : { token: Number(token), checkpoint: parseCheckpoint(checkpoint) };
}

const LATER_FIELDS = { undecidedSet: '', lastCovered: null, lastDispatched: null };

/** A record of an earlier version of Ditto does not have all fields. */
function parseCheckpoint(text: string): Checkpoint {
  const recorded = JSON.parse(text) as Omit<Checkpoint, keyof typeof LATER_FIELDS> & Partial<Checkpoint>;
  return { ...LATER_FIELDS, ...recorded };
}
