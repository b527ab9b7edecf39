/**
 * A check that asks other servers, so that however often and by however many it is asked, they are asked once in
 * `keepMs`: callers share the check under way, and its result for that long.
 */
export class SharedCheck<Result> {
  readonly #check: () => Promise<Result>;
  readonly #keepMs: number;
  readonly #nowMs: () => number;
  #current: Promise<Result> | null = null;
  #endedAtMs: number | null = null;

  constructor(check: () => Promise<Result>, keepMs: number, nowMs: () => number = () => performance.now()) {
    this.#check = check;
    this.#keepMs = keepMs;
    this.#nowMs = nowMs;
  }

  run(): Promise<Result> {
    const isOver = this.#endedAtMs !== null && this.#nowMs() - this.#endedAtMs >= this.#keepMs;
    if (this.#current === null || isOver) {
      this.#endedAtMs = null;
      this.#current = this.#check().finally(() => {
        this.#endedAtMs = this.#nowMs();
      });
    }
    return this.#current;
  }
}
