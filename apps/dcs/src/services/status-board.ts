import { Injectable } from '@nestjs/common';
import { type ServerHeartbeat, type ServiceStatus } from '#dcs-client';
import { RedisStatusBoard } from '#redis';

/**
 * What services say about themselves, and probes about servers. Reports are checked when they arrive and kept as they
 * came.
 */
@Injectable()
export class StatusBoard {
  readonly #redis: RedisStatusBoard;

  constructor(redis: RedisStatusBoard) {
    this.#redis = redis;
  }

  async reportService(status: ServiceStatus, ttlMs: number): Promise<void> {
    await this.#redis.reportService(status.instance, status, ttlMs);
  }

  async listServices(): Promise<readonly ServiceStatus[]> {
    return [...(await this.#redis.listServices()).values()] as ServiceStatus[];
  }

  async reportServers(source: string, heartbeats: readonly ServerHeartbeat[], ttlMs: number): Promise<void> {
    await this.#redis.reportServers(
      source,
      new Map(heartbeats.map((heartbeat) => [heartbeat.endpoint, heartbeat])),
      ttlMs,
    );
  }

  async listServers(source: string): Promise<readonly ServerHeartbeat[]> {
    return [...(await this.#redis.listServers(source)).values()] as ServerHeartbeat[];
  }
}
