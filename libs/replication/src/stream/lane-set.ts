import { abortable, Backoff, DittoError, sleep, toDittoError, type Logger } from '#kernel';

/** Something to deliver; `bytes` is what it holds in memory, counted until it is delivered. See `LaneSet.grow`. */
export interface LaneEntry {
  readonly bytes: number;
}

export interface LaneSetOptions<Entry extends LaneEntry> {
  /**
   * Delivers the entries of one lane, in order; resolves when all are confirmed. A retriable error brings the same
   * entries again after a back-off, for ever; any other is fatal for the whole set.
   */
  readonly deliver: (lane: number, entries: readonly Entry[]) => Promise<void>;
  readonly maxBatchBytes: number;
  readonly maxBatchEntries: number;
  readonly backoff: { readonly initialMs: number; readonly maxMs: number };
  readonly logger: Logger;
  /** Called once; nothing is delivered after it. */
  readonly onFatal: (error: DittoError) => void;
}

/** Lanes that fail for one reason do so one after the other: they are reported together. */
const REPORT_MS = 500;

class Lane<Entry extends LaneEntry> {
  readonly index: number;
  entries: Entry[] = [];
  busy = false;
  holdingBecause: string | null = null;
  holdingSince: string | null = null;

  constructor(index: number) {
    this.index = index;
  }

  /** Takes a batch from the head; at least one entry, whatever its size. */
  take(maxBytes: number, maxEntries: number): Entry[] {
    const { entries } = this;
    const limit = Math.min(entries.length, maxEntries);
    let bytes = 0;
    let count = 0;
    while (count < limit) {
      bytes += (entries[count] as Entry).bytes;
      if (bytes > maxBytes && count > 0) break;
      count++;
    }
    if (count === entries.length) {
      this.entries = [];
      return entries;
    }
    this.entries = entries.slice(count);
    return entries.slice(0, count);
  }
}

/**
 * Ordered queues that are delivered side by side: entries of one lane go one batch at a time, in the order of `push`;
 * different lanes go in parallel. While a lane's batch is under way the next one gathers, so batches grow with the
 * load and an idle lane waits for nothing.
 */
export class LaneSet<Entry extends LaneEntry> {
  bytesInFlight = 0;
  entriesInFlight = 0;
  retries = 0;
  readonly #options: LaneSetOptions<Entry>;
  readonly #lanes = new Map<number, Lane<Entry>>();
  readonly #waiting = new Set<Lane<Entry>>();
  readonly #closing = new AbortController();
  readonly #drained = new Set<{ resolve: () => void; reject: (error: unknown) => void }>();
  #fatal: DittoError | null = null;
  #holding = 0;
  #mostHolding = 0;
  #report: NodeJS.Timeout | null = null;
  #mayDeliver: () => boolean = () => true;

  constructor(options: LaneSetOptions<Entry>) {
    this.#options = options;
  }

  /** Why some lane is backing off, and since when; null while all work. */
  get holdingBecause(): string | null {
    for (const lane of this.#lanes.values()) if (lane.holdingBecause !== null) return lane.holdingBecause;
    return null;
  }

  /**
   * Asked before each delivery; once it says no, nothing is delivered any more (I5). That is reported as fatal: the
   * lease may be renewed a moment later, and who continues with it must not wait for what was never sent.
   */
  guardWith(mayDeliver: () => boolean): void {
    this.#mayDeliver = mayDeliver;
  }

  push(index: number, entry: Entry): void {
    let lane = this.#lanes.get(index);
    if (lane === undefined) this.#lanes.set(index, (lane = new Lane(index)));
    lane.entries.push(entry);
    this.bytesInFlight += entry.bytes;
    this.entriesInFlight++;
    if (!lane.busy) this.#waiting.add(lane);
  }

  /** An entry that was pushed, and is not being delivered, holds so many bytes more now. */
  grow(bytes: number): void {
    this.bytesInFlight += bytes;
  }

  /** Starts delivery on every lane that has entries and none under way. */
  flush(): void {
    if (this.#waiting.size === 0) return;
    for (const lane of this.#waiting) void this.#run(lane);
    this.#waiting.clear();
  }

  /** Resolves when nothing is in flight; rejects with the signal's reason or the fatal error. */
  async drain(signal: AbortSignal): Promise<void> {
    this.flush();
    if (this.#fatal) throw this.#fatal;
    signal.throwIfAborted();
    if (this.entriesInFlight === 0) return;
    if (this.#closing.signal.aborted) throw closed();
    let waiter: { resolve: () => void; reject: (error: unknown) => void } | undefined;
    const drained = new Promise<void>((resolve, reject) => {
      this.#drained.add((waiter = { resolve, reject }));
    });
    try {
      await abortable(drained, signal);
    } finally {
      if (waiter !== undefined) this.#drained.delete(waiter);
    }
  }

  /** Starts no further delivery; what is in flight stays unconfirmed. */
  close(): void {
    this.#closing.abort();
    this.#rejectDrains(closed());
  }

  async #run(lane: Lane<Entry>): Promise<void> {
    if (lane.busy) return;
    lane.busy = true;
    const { maxBatchBytes, maxBatchEntries } = this.#options;
    while (lane.entries.length > 0 && !this.#stopped()) {
      const batch = lane.take(maxBatchBytes, maxBatchEntries);
      if (!(await this.#deliverUntilConfirmed(lane, batch))) return;
      for (const entry of batch) this.bytesInFlight -= entry.bytes;
      this.entriesInFlight -= batch.length;
      if (this.entriesInFlight === 0) this.#resolveDrains();
    }
    lane.busy = false;
  }

  async #deliverUntilConfirmed(lane: Lane<Entry>, batch: readonly Entry[]): Promise<boolean> {
    const backoff = new Backoff(this.#options.backoff);
    while (!this.#stopped()) {
      if (!this.#mayDeliver()) return this.#fail(leaseLost());
      if (await this.#tryDelivery(lane, batch)) return true;
      if (!this.#stopped()) await sleep(backoff.nextMs(), this.#closing.signal).catch(() => undefined);
    }
    return false;
  }

  /** By itself, so that a lane that waits does not hold the error that it waits for: there may be thousands of both. */
  async #tryDelivery(lane: Lane<Entry>, batch: readonly Entry[]): Promise<boolean> {
    try {
      await this.#options.deliver(lane.index, batch);
      this.#release(lane);
      return true;
    } catch (cause) {
      const error = toDittoError(cause);
      if (this.#stopped()) return false;
      if (error.retriable) this.#hold(lane, error);
      else this.#fail(error);
      return false;
    }
  }

  #hold(lane: Lane<Entry>, error: DittoError): void {
    if (lane.holdingBecause === null) this.#noteHolding(error);
    lane.holdingSince ??= new Date().toISOString();
    lane.holdingBecause = `${error.code}: ${error.message} (since ${lane.holdingSince})`;
    this.retries++;
  }

  /** One line for all lanes that hold, until none does any more. */
  #noteHolding({ code, message }: DittoError): void {
    this.#mostHolding = Math.max(this.#mostHolding, ++this.#holding);
    if (this.#holding > 1 || this.#report !== null) return;
    this.#mostHolding = 1;
    const report = (): void => {
      this.#report = null;
      const lanes = this.#mostHolding;
      this.#options.logger.warn('holding: delivery failed, trying again', { lanes, code, error: message });
    };
    this.#report = setTimeout(report, REPORT_MS).unref();
  }

  #release(lane: Lane<Entry>): void {
    if (lane.holdingBecause !== null) this.#holding--;
    lane.holdingBecause = lane.holdingSince = null;
  }

  #fail(error: DittoError): false {
    this.#fatal = error;
    this.#rejectDrains(error);
    this.#options.onFatal(error);
    return false;
  }

  #stopped(): boolean {
    return this.#fatal !== null || this.#closing.signal.aborted;
  }

  #resolveDrains(): void {
    for (const waiter of this.#drained) waiter.resolve();
    this.#drained.clear();
  }

  #rejectDrains(error: DittoError): void {
    for (const waiter of this.#drained) waiter.reject(error);
    this.#drained.clear();
  }
}

export function leaseLost(): DittoError {
  return new DittoError('DITTO_LEASE_LOST', 'the lease ran out before the changes were delivered', { retriable: true });
}

function closed(): DittoError {
  return new DittoError('DITTO_REPLICATION_CLOSED', 'the sink was closed');
}
