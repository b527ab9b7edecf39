import { type Checkpoint } from '#change-events';
import { type Grant } from '#replication';
import { type RedisConnection } from './redis-connection.ts';

/** A checkpoint with the token that it was written under. */
export interface CachedOffset {
  readonly token: number;
  readonly checkpoint: Checkpoint;
}

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
    const { lineage, version } = checkpoint;
    const [outcome, newestToken] = (await this.#redis.runScript(
      'dittoPutOffset',
      [keys.token(grant.source), keys.offset(grant.source)],
      [grant.token, lineage, version, JSON.stringify(checkpoint), verifiedToken],
    )) as [PutOutcome, number];
    if (outcome === 'stored') await this.#redis.run((client) => client.sadd(keys.sources(), grant.source));
    return { outcome, newestToken };
  }

  async get(source: string): Promise<CachedOffset | null> {
    const fields = await this.#redis.run((client) => client.hgetall(this.#redis.keys.offset(source)));
    return toCachedOffset(fields);
  }

  async list(): Promise<readonly CachedOffset[]> {
    const { keys } = this.#redis;
    return this.#redis.run(async (client) => {
      const sources = (await client.smembers(keys.sources())).sort();
      const offsets = await Promise.all(sources.map((source) => client.hgetall(keys.offset(source))));
      return offsets.map(toCachedOffset).filter((offset) => offset !== null);
    });
  }

  /** Puts back what the state database holds, unless Redis has something newer. Raises no token. */
  async restore({ token, checkpoint }: CachedOffset): Promise<void> {
    const { keys } = this.#redis;
    const { source, lineage, version } = checkpoint;
    await this.#redis.runScript(
      'dittoRestoreOffset',
      [keys.offset(source)],
      [token, lineage, version, JSON.stringify(checkpoint)],
    );
    await this.#redis.run((client) => client.sadd(keys.sources(), source));
  }
}

function toCachedOffset(fields: Readonly<Record<string, string>>): CachedOffset | null {
  const { token, checkpoint } = fields;
  return token === undefined || checkpoint === undefined
    ? null
    : { token: Number(token), checkpoint: JSON.parse(checkpoint) as Checkpoint };
}
