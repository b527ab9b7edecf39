import { Injectable } from '@nestjs/common';
import { type DittoConfig, formatEndpoint } from '#configuration';
import { isAbort, sleep, toDittoError } from '#kernel';
import { createLogger, InjectConfig, LongWork, Shutdown } from '#platform';
import { RedisConnection, RedisProbeTurns } from '#redis';
import { JobMetrics } from '../metrics/job-metrics.ts';
import { type EndpointAddress, EndpointProber } from './endpoint-prober.ts';

const QUEUE = 'probes';
/** How long is rested when Redis does not say whose turn it is. */
const RETRY_MS = 1000;
/** Workers ask at different moments, so that the turns are spread among them. */
const SPREAD = 0.2;

/** A probe of each endpoint of each source, every `dws.probeIntervalMs`, by whichever worker takes the turn. */
@Injectable()
export class ProbeJobs extends LongWork {
  readonly #config: DittoConfig['dws'];
  readonly #endpoints: ReadonlyMap<string, EndpointAddress>;
  readonly #turns: RedisProbeTurns;
  readonly #prober: EndpointProber;
  readonly #metrics: JobMetrics;
  readonly #logger = createLogger(QUEUE);
  readonly #running = new Map<string, Promise<void>>();
  readonly #failing = new Set<string>();

  constructor(
    @InjectConfig() config: DittoConfig,
    redis: RedisConnection,
    prober: EndpointProber,
    metrics: JobMetrics,
    shutdown: Shutdown,
  ) {
    super(shutdown);
    this.#config = config.dws;
    this.#endpoints = listEndpoints(config);
    this.#turns = new RedisProbeTurns(redis);
    this.#prober = prober;
    this.#metrics = metrics;
  }

  protected override async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const restMs = await this.#take();
      const rested = restMs === null ? Promise.race(this.#running.values()) : sleep(restMs, signal);
      await rested.catch((error: unknown) => {
        if (!isAbort(error)) throw error;
      });
    }
    await Promise.all(this.#running.values());
  }

  /** Begins probes, and gives how long there is nothing more to take; null when another probe must end first. */
  async #take(): Promise<number | null> {
    const { probeIntervalMs, concurrency } = this.#config;
    const free = concurrency - this.#running.size;
    if (free === 0) return null;
    // one that is still under way keeps its next turn for others
    const idle = [...this.#endpoints.keys()].filter((name) => !this.#running.has(name));
    try {
      const { endpoints, nextInMs } = await this.#turns.take(idle, probeIntervalMs, free);
      this.#succeed('');
      for (const name of endpoints)
        this.#running.set(
          name,
          this.#probe(name).finally(() => this.#running.delete(name)),
        );
      return endpoints.length === free ? null : nextInMs + Math.random() * SPREAD * probeIntervalMs;
    } catch (error) {
      this.#fail('', error);
      return Math.min(RETRY_MS, probeIntervalMs);
    }
  }

  /** Never rejects. */
  async #probe(name: string): Promise<void> {
    const startedAt = performance.now();
    try {
      await this.#prober.probe(this.#endpoints.get(name) as EndpointAddress);
      this.#metrics.ended(QUEUE, 'done', performance.now() - startedAt);
      this.#succeed(name);
    } catch (error) {
      this.#metrics.ended(QUEUE, 'failed', performance.now() - startedAt);
      this.#fail(name, error);
    }
  }

  #succeed(name: string): void {
    if (this.#failing.delete(name)) this.#logger.info('probes succeed again', { endpoint: name });
  }

  /** Whatever fails at each turn is reported once. */
  #fail(name: string, error: unknown): void {
    if (isAbort(error) || this.#failing.has(name)) return;
    this.#failing.add(name);
    const { code, message, remedy } = toDittoError(error);
    this.#logger.warn('a probe failed; it is tried again', { endpoint: name, code, error: message, remedy });
  }
}

function listEndpoints({ sources }: DittoConfig): ReadonlyMap<string, EndpointAddress> {
  return new Map(
    Object.values(sources).flatMap(({ name, endpoints }) =>
      endpoints.map((address) => {
        const endpoint = formatEndpoint(address);
        return [`${name}/${endpoint}`, { source: name, endpoint }] as const;
      }),
    ),
  );
}
