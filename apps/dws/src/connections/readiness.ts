import { Injectable } from '@nestjs/common';
import { DcsClient } from '#dcs-client';
import { ReadinessIndicator } from '#platform';
import { RedisConnection } from '#redis';

/** The jobs stand in Redis. */
@Injectable()
export class RedisReadiness extends ReadinessIndicator {
  readonly name = 'redis';
  readonly #redis: RedisConnection;

  constructor(redis: RedisConnection) {
    super();
    this.#redis = redis;
  }

  async check(): Promise<Readonly<Record<string, unknown>>> {
    await this.#redis.ping();
    return {};
  }
}

/** Heartbeats are published there, and no tombstone is swept without the checkpoint that it keeps. */
@Injectable()
export class DcsReadiness extends ReadinessIndicator {
  readonly name = 'dcs';
  readonly #dcs: DcsClient;

  constructor(dcs: DcsClient) {
    super();
    this.#dcs = dcs;
  }

  async check(): Promise<Readonly<Record<string, unknown>>> {
    const services = await this.#dcs.listServices();
    return { services: services.length };
  }
}
