import { type RedisConnection } from './redis-connection.ts';
import { type StatusKeys } from './redis-keys.ts';

/** Short-lived reports by name, each forgotten when its TTL ends without a new one. Statuses are plain JSON values. */
export class RedisStatusBoard {
  readonly #redis: RedisConnection;

  constructor(redis: RedisConnection) {
    this.#redis = redis;
  }

  async reportService(id: string, status: object, ttlMs: number): Promise<void> {
    await this.#report(this.#redis.keys.services(), new Map([[id, status]]), ttlMs);
  }

  async listServices(): Promise<ReadonlyMap<string, unknown>> {
    return this.#list(this.#redis.keys.services());
  }

  /** Heartbeats of a source's servers, by endpoint. */
  async reportServers(source: string, heartbeats: ReadonlyMap<string, object>, ttlMs: number): Promise<void> {
    await this.#report(this.#redis.keys.servers(source), heartbeats, ttlMs);
  }

  async listServers(source: string): Promise<ReadonlyMap<string, unknown>> {
    return this.#list(this.#redis.keys.servers(source));
  }

  async #report({ status, expiry }: StatusKeys, reports: ReadonlyMap<string, object>, ttlMs: number): Promise<void> {
    if (reports.size === 0) return;
    const namesAndReports = [...reports].flatMap(([name, report]) => [name, JSON.stringify(report)]);
    await this.#redis.runScript('dittoReportStatus', [status, expiry], [ttlMs, ...namesAndReports]);
  }

  async #list({ status, expiry }: StatusKeys): Promise<ReadonlyMap<string, unknown>> {
    const flat = (await this.#redis.runScript('dittoListStatus', [status, expiry], [])) as string[];
    const reports = new Map<string, unknown>();
    for (let i = 0; i + 1 < flat.length; i += 2) reports.set(flat[i] ?? '', JSON.parse(flat[i + 1] ?? 'null'));
    return new Map([...reports].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}
