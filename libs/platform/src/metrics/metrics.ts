import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Seconds, from half a millisecond to a minute: latencies of changes and of calls. */
export const LATENCY_BUCKETS: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];

/** Each sample wakes the process: with the default, 10 ms, that was most of what an idle service took. So none is taken. */
const EVENT_LOOP_SAMPLE_MS = 2 ** 31 - 1;
/** What samples would say; the lag at the reading itself stays. */
const SAMPLED_LAGS = ['min', 'max', 'mean', 'stddev', 'p50', 'p90', 'p99'] as const;

/**
 * The metrics of one service, named `ditto_<service>_<what>_<unit>`, in addition to those of the process (CPU, memory,
 * event loop). Names are given without the prefix, as `published_rows_total`; a counter ends in `_total`.
 */
export class Metrics {
  readonly registry = new Registry();
  readonly #prefix: string;

  constructor(service: string) {
    this.#prefix = `ditto_${service}_`;
    collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: EVENT_LOOP_SAMPLE_MS });
    for (const lag of SAMPLED_LAGS) this.registry.removeSingleMetric(`nodejs_eventloop_lag_${lag}_seconds`);
  }

  counter<Label extends string = never>(
    name: `${string}_total`,
    help: string,
    labels: readonly Label[] = [],
  ): Counter<Label> {
    return new Counter({ name: this.#prefix + name, help, labelNames: [...labels], registers: [this.registry] });
  }

  /** `collect`, when given, sets the values each time that somebody reads the metrics. */
  gauge<Label extends string = never>(
    name: string,
    help: string,
    labels: readonly Label[] = [],
    collect?: (gauge: Gauge<Label>) => void | Promise<void>,
  ): Gauge<Label> {
    return new Gauge({
      name: this.#prefix + name,
      help,
      labelNames: [...labels],
      registers: [this.registry],
      ...(collect && {
        collect(this: Gauge<Label>) {
          return collect(this);
        },
      }),
    });
  }

  histogram<Label extends string = never>(
    name: string,
    help: string,
    labels: readonly Label[] = [],
    buckets: readonly number[] = LATENCY_BUCKETS,
  ): Histogram<Label> {
    const names = { name: this.#prefix + name, help, labelNames: [...labels] };
    return new Histogram({ ...names, buckets: [...buckets], registers: [this.registry] });
  }
}

export function createMetrics(service: string): Metrics {
  return new Metrics(service);
}
