/** Turns a counter that is read now and then into a rate over about the last five seconds. */
export class RateMeter {
  readonly #samples: { atMs: number; value: number }[] = [];
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Rate up to now, given the counter's value now; 0 until two readings lie at least 100 ms apart. */
  perSecond(value: number): number {
    const atMs = this.#nowMs();
    const newest = this.#samples.at(-1);
    if (newest !== undefined && value < newest.value) this.#samples.length = 0;
    if (newest === undefined || atMs - newest.atMs >= 100) this.#samples.push({ atMs, value });
    while (this.#samples.length > 2 && atMs - (this.#samples[1]?.atMs ?? atMs) > 5000) this.#samples.shift();
    const oldest = this.#samples[0];
    if (oldest === undefined || atMs - oldest.atMs < 100) return 0;
    return ((value - oldest.value) * 1000) / (atMs - oldest.atMs);
  }
}
