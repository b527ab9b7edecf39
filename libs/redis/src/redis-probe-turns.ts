import { type RedisConnection } from './redis-connection.ts';

export interface TakenTurns {
  readonly endpoints: readonly string[];
  /** Until the next turns begin. */
  readonly nextInMs: number;
}

/**
 * Who probes an endpoint: in each interval whichever worker takes its turn first. A worker that ends in its turn leaves that
 * one out, and the next comes after the interval: cheaper than a queue, for work that is not worth being repeated.
 */
export class RedisProbeTurns {
  readonly #redis: RedisConnection;

  constructor(redis: RedisConnection) {
    this.#redis = redis;
  }

  /** Of those whose turn is free in this interval, in their order. */
  async take(endpoints: readonly string[], everyMs: number, most: number): Promise<TakenTurns> {
    const key = this.#redis.keys.probes();
    const answer = await this.#redis.runScript('dittoTakeTurns', [key], [everyMs, most, ...endpoints]);
    const [nextInMs, ...taken] = answer as [number, ...string[]];
    return { endpoints: taken, nextInMs };
  }
}
