/** The clock of a row's `placed_at`, which is the moment just before its commit. */
export function clockMs(): number {
  return performance.timeOrigin + performance.now();
}

/** As `placed_at` takes it: UTC with microseconds. */
export function formatClock(atMs: number): string {
  const micros = Math.round(atMs * 1000);
  const date = new Date(Math.floor(micros / 1000)).toISOString().slice(0, -1);
  return `${date}${String(micros % 1000).padStart(3, '0')}`;
}

/** Milliseconds since 1970 of a `placed_at`, with its microseconds as the fraction. */
export function parseClock(placedAt: string): number {
  return Date.parse(`${placedAt.slice(0, 23)}Z`) + Number(placedAt.slice(23)) / 1000;
}

/** Delays of the rows with the ids 1 to `last`, each from its commit to its first arrival; rows up to `skipped` don't count. */
export class Arrivals {
  readonly #last: number;
  readonly #skipped: number;
  readonly #seen: Uint8Array;
  readonly #delays: number[] = [];
  #missing: number;
  #lowestMissing = 1;

  constructor({ last, skipped }: { readonly last: number; readonly skipped: number }) {
    this.#last = last;
    this.#skipped = skipped;
    this.#seen = new Uint8Array(last + 1);
    this.#missing = last;
  }

  get complete(): boolean {
    return this.#missing === 0;
  }

  get missing(): number {
    return this.#missing;
  }

  /** The first id that has not arrived; after it others may have. */
  get lowestMissing(): number {
    return this.#lowestMissing;
  }

  get delaysMs(): readonly number[] {
    return this.#delays;
  }

  arrive(id: number, committedMs: number, arrivedMs: number): void {
    if (id < 1 || id > this.#last || this.#seen[id] === 1) return;
    this.#seen[id] = 1;
    this.#missing--;
    while (this.#seen[this.#lowestMissing] === 1) this.#lowestMissing++;
    if (id > this.#skipped) this.#delays.push(arrivedMs - committedMs);
  }
}
