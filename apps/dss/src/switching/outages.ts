/** Then it is another one. */
const OVER_MS = 120_000;

interface Outage {
  readonly sinceMs: number;
  lastMs: number;
}

/** How long the only server of each source could not be used: a restart of it, which is over soon, is not reported. */
export class Outages {
  readonly #nowMs: () => number;
  readonly #bySource = new Map<string, Outage>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** It could not be used. Whether that has been so for this time, each time that it was tried. */
  lasts(source: string, forMs: number): boolean {
    const nowMs = this.#nowMs();
    const known = this.#bySource.get(source);
    const outage = known !== undefined && nowMs - known.lastMs < OVER_MS ? known : { sinceMs: nowMs, lastMs: nowMs };
    outage.lastMs = nowMs;
    this.#bySource.set(source, outage);
    return nowMs - outage.sinceMs >= forMs;
  }

  end(source: string): void {
    this.#bySource.delete(source);
  }
}
