import { Injectable } from '@nestjs/common';
import { DcsClient, type ServerHeartbeat } from '#dcs-client';
import { toDittoError } from '#kernel';
import { type DittoConfig } from '#configuration';
import { InjectConfig } from '#platform';
import { ProbeMetrics } from '../metrics/probe-metrics.ts';

export interface SourceHeartbeats {
  readonly source: string;
  readonly heartbeats: readonly ServerHeartbeat[];
  /** Why the results of other workers are missing; null when all are there. */
  readonly incompleteBecause: string | null;
}

/** What is known of the endpoints: the newest of what this process and, by way of DCS, all others found. */
@Injectable()
export class HeartbeatBoard {
  readonly #dcs: DcsClient;
  readonly #ttlMs: number;
  readonly #here = new Map<string, Map<string, ServerHeartbeat>>();

  constructor(dcs: DcsClient, metrics: ProbeMetrics, @InjectConfig() config: DittoConfig) {
    this.#dcs = dcs;
    this.#ttlMs = Math.min(Math.max(5 * config.dws.probeIntervalMs, 10_000), 86_400_000);
    metrics.observe(() =>
      [...this.#here].flatMap(([source]) => this.#fresh(source).map((found) => [source, found] as const)),
    );
  }

  async publish(source: string, heartbeat: ServerHeartbeat): Promise<void> {
    const ofSource = this.#here.get(source) ?? new Map<string, ServerHeartbeat>();
    this.#here.set(source, ofSource.set(heartbeat.endpoint, heartbeat));
    await this.#dcs.reportServers(source, [heartbeat], this.#ttlMs);
  }

  newestHere(source: string, endpoint: string): ServerHeartbeat | null {
    return this.#here.get(source)?.get(endpoint) ?? null;
  }

  async list(source: string): Promise<SourceHeartbeats> {
    try {
      const everywhere = await this.#dcs.listServers(source);
      return { source, heartbeats: takeNewest([...everywhere, ...this.#fresh(source)]), incompleteBecause: null };
    } catch (error) {
      const { code, message } = toDittoError(error);
      return { source, heartbeats: takeNewest(this.#fresh(source)), incompleteBecause: `${code}: ${message}` };
    }
  }

  /** For an endpoint that did not answer at `nowMs`: when a probe first found it so, as far back as heartbeats are kept. */
  async unreachableSince(source: string, endpoint: string, nowMs: number): Promise<number> {
    const { heartbeats } = await this.list(source);
    return heartbeats.find((found) => found.endpoint === endpoint)?.unreachableSinceMs ?? nowMs;
  }

  #fresh(source: string): readonly ServerHeartbeat[] {
    const oldest = Date.now() - this.#ttlMs;
    return [...(this.#here.get(source)?.values() ?? [])].filter(({ probedAtMs }) => probedAtMs > oldest);
  }
}

/** One for each endpoint. */
function takeNewest(heartbeats: readonly ServerHeartbeat[]): readonly ServerHeartbeat[] {
  const newest = new Map<string, ServerHeartbeat>();
  for (const heartbeat of heartbeats)
    if (heartbeat.probedAtMs >= (newest.get(heartbeat.endpoint)?.probedAtMs ?? 0))
      newest.set(heartbeat.endpoint, heartbeat);
  return [...newest.values()].sort((a, b) => (a.endpoint < b.endpoint ? -1 : 1));
}
