import { type RedisConnection } from './redis-connection.ts';

/** What changed longer ago is not recent. */
const TTL_MS = 60_000;

/**
 * Up to which version the changes of each source were noticed, by whichever worker; forgotten a minute after it was kept.
 */
export class RedisRecentPlaces {
  readonly #redis: RedisConnection;

  constructor(redis: RedisConnection) {
    this.#redis = redis;
  }

  /** Null when there is none. */
  async load(source: string): Promise<string | null> {
    return this.#redis.run((client) => client.get(this.#redis.keys.recent(source)));
  }

  async save(source: string, version: string): Promise<void> {
    await this.#redis.run((client) => client.set(this.#redis.keys.recent(source), version, 'PX', TTL_MS));
  }
}
