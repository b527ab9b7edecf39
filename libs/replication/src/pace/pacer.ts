import { abortable, sleep } from '#kernel';
import { type LoadSample, type SourceLoad } from '../ports/source-load.ts';

/** How much reads may ask of the server that they read from. */
export interface Pace {
  /** Of all reads together; 0 for no bound. */
  readonly rowsPerSecond: number;
  /** What one query may take: the next one asks for as many rows as can be had in that time. */
  readonly queryMs: number;
  /** Reads pause while more threads execute a statement, those of other reads included; 0 for no bound. */
  readonly mostRunningThreads: number;
  /** Reads pause while the server is further behind the one that it replicates from; 0 for no bound. */
  readonly mostLagMs: number;
}

export interface PacerOptions extends Pace {
  /** Of the server that is read. */
  readonly load: SourceLoad;
  readonly firstRows?: number;
  readonly mostRows: number;
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Milliseconds, of a clock that is never set. */
  readonly nowMs?: () => number;
}

/** One read that may run now. */
export interface Turn {
  /** It may ask for so many rows. */
  readonly rows: number;
  /**
   * To be called when it has ended, well or not. `ms`: how long its query took, without what it waited for before; null
   * where that is not known.
   */
  end(read: { readonly rows: number; readonly ms: number | null }): void;
}

export interface PacerStatus {
  /** Rows that the next query may ask for. */
  readonly rows: number;
  /** Why reads pause; null when they don't. */
  readonly pausedBy: 'replica lag' | 'running threads' | null;
  /** As of the last look; null before the first. */
  readonly load: LoadSample | null;
}

const FIRST_ROWS = 256;
/** The server is asked no more often what it has to do. */
const LOOK_MS = 1000;
const MOST_GROWTH = 2;

/**
 * Gives turns to reads of one server, so that they take no more of it than they may. Three bounds hold together: rows
 * per second over all reads, the time of one query, and a pause while the server is busy or behind. Reads may run side by
 * side; the rows of a turn count from its beginning.
 */
export class Pacer {
  readonly #options: PacerOptions;
  readonly #pause: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly #nowMs: () => number;
  #rows: number;
  /** Rows that may be read at `#filledAtMs`; below 0 when more were read than the time had given. */
  #credit: number;
  #filledAtMs: number;
  #load: LoadSample | null = null;
  #lookedAtMs = -Infinity;
  #look: Promise<void> | null = null;

  constructor(options: PacerOptions) {
    this.#options = options;
    this.#pause = options.pause ?? sleep;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#rows = Math.min(options.mostRows, options.firstRows ?? FIRST_ROWS);
    this.#credit = this.#burst;
    this.#filledAtMs = this.#nowMs();
  }

  /** Resolves when a turn could be had at once. */
  async ready(signal: AbortSignal): Promise<void> {
    await this.#whenReady(signal, () => undefined);
  }

  /** Waits for a turn of at most `mostRows`; the signal ends the wait. Rejects as `SourceLoad` does. */
  async begin(mostRows: number, signal: AbortSignal): Promise<Turn> {
    return this.#whenReady(signal, () => this.#take(Math.min(mostRows, this.#rows)));
  }

  /**
   * As `begin`, of keys that are looked up without their rows: each counts as a row, and the time that rows take does not
   * bound them.
   */
  async beginLookUp(mostKeys: number, signal: AbortSignal): Promise<Turn> {
    return this.#whenReady(signal, () => this.#take(Math.min(mostKeys, this.#options.mostRows)));
  }

  status(): PacerStatus {
    return { rows: this.#rows, pausedBy: this.#pausedBy, load: this.#load };
  }

  #take(most: number): Turn {
    const rows = Math.max(1, Math.min(most, this.#burst));
    this.#credit -= rows;
    let hasEnded = false;
    return {
      rows,
      end: (read) => {
        if (hasEnded) return;
        hasEnded = true;
        this.#credit = Math.min(this.#burst, this.#credit + rows - read.rows);
        if (read.ms !== null) this.#adapt(rows, read.rows, read.ms);
      },
    };
  }

  /** What may be read at once after a rest: a second's worth. */
  get #burst(): number {
    const { rowsPerSecond } = this.#options;
    return rowsPerSecond === 0 ? Infinity : rowsPerSecond;
  }

  #msUntilCredit(): number {
    const { rowsPerSecond } = this.#options;
    if (rowsPerSecond === 0) return 0;
    const nowMs = this.#nowMs();
    this.#credit = Math.min(this.#burst, this.#credit + ((nowMs - this.#filledAtMs) * rowsPerSecond) / 1000);
    this.#filledAtMs = nowMs;
    return this.#credit >= 1 ? 0 : Math.ceil(((1 - this.#credit) * 1000) / rowsPerSecond);
  }

  /** Few rows in little time say nothing about how long more would take. */
  #adapt(asked: number, rows: number, ms: number): void {
    const { queryMs, mostRows } = this.#options;
    const wanted = Math.floor(asked * Math.min(MOST_GROWTH, queryMs / ms));
    if (ms > queryMs) this.#rows = Math.max(1, Math.min(this.#rows, wanted));
    else if (rows >= asked) this.#rows = Math.min(mostRows, Math.max(this.#rows, wanted));
  }

  get #pausedBy(): PacerStatus['pausedBy'] {
    const { mostRunningThreads, mostLagMs } = this.#options;
    if (this.#load === null) return null;
    if (mostLagMs > 0 && (this.#load.lagMs ?? 0) > mostLagMs) return 'replica lag';
    return mostRunningThreads > 0 && this.#load.runningThreads > mostRunningThreads ? 'running threads' : null;
  }

  /** `take` runs at the moment when a turn can be had, before anyone else's. */
  async #whenReady<T>(signal: AbortSignal, take: () => T): Promise<T> {
    for (;;) {
      signal.throwIfAborted();
      const waitMs = (await this.#isBusy(signal)) ? LOOK_MS : this.#msUntilCredit();
      if (waitMs === 0) return take();
      await this.#pause(waitMs, signal);
    }
  }

  async #isBusy(signal: AbortSignal): Promise<boolean> {
    const { mostRunningThreads, mostLagMs } = this.#options;
    if (mostRunningThreads === 0 && mostLagMs === 0) return false;
    if (this.#nowMs() - this.#lookedAtMs >= LOOK_MS) await abortable(this.#lookOnce(), signal);
    return this.#pausedBy !== null;
  }

  /** One look for all that wait for it; a failed one is done again with the next turn. */
  #lookOnce(): Promise<void> {
    this.#look ??= this.#options.load
      .measure()
      .then((load) => {
        this.#load = load;
        this.#lookedAtMs = this.#nowMs();
      })
      .finally(() => {
        this.#look = null;
      });
    return this.#look;
  }
}
