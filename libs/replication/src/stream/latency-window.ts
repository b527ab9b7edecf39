export interface LatencySummary {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
  readonly count: number;
}

const BASE = 1.05;
const SMALLEST_MS = 0.05;
const BUCKETS = 400; // 0.05 ms × 1.05^400: half a year

class Histogram {
  readonly counts = new Float64Array(BUCKETS);
  count = 0;
  max = 0;
}

/** Latencies of the last one to two periods in buckets 5 % wide; constant memory, no allocation per value. */
export class LatencyWindow {
  #current = new Histogram();
  #previous = new Histogram();
  #turnedAtMs: number;
  readonly #periodMs: number;
  readonly #nowMs: () => number;

  constructor(options: { readonly periodMs: number; readonly nowMs: () => number }) {
    this.#periodMs = options.periodMs;
    this.#nowMs = options.nowMs;
    this.#turnedAtMs = options.nowMs();
  }

  record(ms: number, count: number): void {
    this.#turn();
    const current = this.#current;
    const bucket =
      ms <= SMALLEST_MS ? 0 : Math.min(BUCKETS - 1, Math.ceil(Math.log(ms / SMALLEST_MS) / Math.log(BASE)));
    current.counts[bucket] = (current.counts[bucket] ?? 0) + count;
    current.count += count;
    if (ms > current.max) current.max = ms;
  }

  /** Quantiles in milliseconds: at or above the true value, by at most 5 %. */
  summary(): LatencySummary {
    this.#turn();
    const count = this.#current.count + this.#previous.count;
    const max = Math.max(this.#current.max, this.#previous.max);
    return {
      p50: this.#quantile(0.5, max),
      p95: this.#quantile(0.95, max),
      p99: this.#quantile(0.99, max),
      max,
      count,
    };
  }

  #quantile(share: number, max: number): number {
    const wanted = share * (this.#current.count + this.#previous.count);
    if (wanted === 0) return 0;
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += (this.#current.counts[bucket] ?? 0) + (this.#previous.counts[bucket] ?? 0);
      if (seen >= wanted) return Math.min(max, SMALLEST_MS * BASE ** bucket);
    }
    return max;
  }

  #turn(): void {
    const now = this.#nowMs();
    const periods = Math.floor((now - this.#turnedAtMs) / this.#periodMs);
    if (periods < 1) return;
    this.#previous = periods === 1 ? this.#current : new Histogram();
    this.#current = new Histogram();
    this.#turnedAtMs += periods * this.#periodMs;
  }
}
