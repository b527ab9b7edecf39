import { type RedisConnection } from './redis-connection.ts';

/** What changed longer ago is not recent. */
const TTL_MS = 60_000;

/**
 * Up to which version the changes of each source were noticed, by whichever worker; forgotten a minute after it was kept.
 * One worker at a time has the turn of a source.
 */
export class RedisRecentPlaces {
  readonly #redis: RedisConnection;

  constructor(redis: RedisConnection) {
    this.#redis = redis;
  }

  /** False when another one has the turn. It ends by itself after `ttlMs`. */
  async beginTurn(source: string, owner: string, ttlMs: number): Promise<boolean> {
    const { keys } = this.#redis;
    const set = await this.#redis.run((client) => client.set(keys.recentTurn(source), owner, 'PX', ttlMs, 'NX'));
    return set === 'OK';
  }

  /** Does nothing when the turn is not this owner's any more. */
  async endTurn(source: string, owner: string): Promise<void> {
    await this.#redis.runScript('dittoEndRecentTurn', [this.#redis.keys.recentTurn(source)], [owner]);
  }

  /** Null when there is none. */
  async load(source: string): Promise<string | null> {
    return this.#redis.run((client) => client.get(this.#redis.keys.recent(source)));
  }

  /** False, and nothing is kept, when the turn is not this owner's any more, or a higher version is kept. */
  async save(source: string, owner: string, version: string): Promise<boolean> {
    const { keys } = this.#redis;
    const values = [owner, version, TTL_MS];
    const places = [keys.recentTurn(source), keys.recent(source)];
    return (await this.#redis.runScript('dittoSaveRecentPlace', places, values)) === 1;
  }
}
