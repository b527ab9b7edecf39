import { type RedisConnection } from './redis-connection.ts';

/** What is older is hardly held by the log and the topics. */
const TTL_MS = 3_600_000;

/** Up to where the log of each source was compared with its topics; forgotten an hour after it was kept. */
export class RedisGapPlaces {
  readonly #redis: RedisConnection;

  constructor(redis: RedisConnection) {
    this.#redis = redis;
  }

  /** Null when there is none. */
  async load(source: string): Promise<string | null> {
    return this.#redis.run((client) => client.get(this.#redis.keys.gapCheck(source)));
  }

  async save(source: string, place: string): Promise<void> {
    await this.#redis.run((client) => client.set(this.#redis.keys.gapCheck(source), place, 'PX', TTL_MS));
  }
}
