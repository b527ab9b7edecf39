import { type ReadRow, type RowObserver } from './kafka-arrivals.ts';
import { type Committed } from './steady-writer.ts';

/** What was committed, and what Kafka has of it, over the restarts of a run. */
export class RestartRows implements RowObserver {
  /** Rows come for as long as the run wants. */
  readonly complete = false;
  readonly #committed: number[] = [];
  readonly #arrived = new Set<number>();
  /** So many of the committed rows, the first ones, have arrived. */
  #settled = 0;
  #duplicates = 0;
  #afterMs = 0;
  #firstAppendMs = Infinity;

  /** A number of rows, in the order in which their commits were reported. */
  get committed(): number {
    return this.#committed.length;
  }

  get duplicates(): number {
    return this.#duplicates;
  }

  /** When Kafka had the first row that was placed after the moment of the last `expectAfter`; before: infinite. */
  get firstAppendMs(): number {
    return this.#firstAppendMs;
  }

  commit({ first, count }: Pick<Committed, 'first' | 'count'>): void {
    for (let id = first; id < first + count; id++) this.#committed.push(id);
  }

  note({ id, placedMs, appendedMs }: ReadRow): void {
    if (this.#arrived.has(id)) this.#duplicates++;
    this.#arrived.add(id);
    if (placedMs > this.#afterMs) this.#firstAppendMs = Math.min(this.#firstAppendMs, appendedMs);
  }

  expectAfter(momentMs: number): void {
    this.#afterMs = momentMs;
    this.#firstAppendMs = Infinity;
  }

  /** Whether Kafka has each of the first so many committed rows. */
  hasArrived(committed: number): boolean {
    while (this.#settled < committed && this.#arrived.has(this.#committed[this.#settled] ?? 0)) this.#settled++;
    return this.#settled >= committed;
  }
}
