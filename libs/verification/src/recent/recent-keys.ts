import { type TableName } from '#change-events';

export interface RecentKeysOptions {
  /** So many keys can be verified in a second; of more a random sample is kept. */
  readonly keysPerSecond: number;
  /** A key is given when it has not changed for so long. */
  readonly settleMs: number;
  /** Called for each change that no place is left for. */
  readonly onLeftOut: () => void;
  /** Milliseconds, of a clock that is never set. */
  readonly nowMs?: () => number;
  /** From 0 to below 1. */
  readonly random?: () => number;
}

/** A key that has changed. */
export interface RecentKey {
  /** As its `RecentChanges` writes it. */
  readonly key: string;
  /** When it was noticed first, since it was verified last. */
  readonly sinceMs: number;
  /** When it was given first since then; null while it was not. */
  readonly givenMs: number | null;
}

export interface RecentKeysStatus {
  /** Keys that are kept. */
  readonly waiting: number;
  /** How long the oldest key that has settled has waited since. */
  readonly behindMs: number;
}

interface Entry extends TableName, RecentKey {
  readonly id: string;
  slot: Slot;
  /** Its place in the slot. */
  at: number;
}

/** The keys of one short time, whose sample is drawn together. */
interface Slot {
  readonly openedAtMs: number;
  readonly entries: Entry[];
  /** Keys that were offered to it. */
  offered: number;
}

const SLOT_MS = 250;
/** What may be noticed at once after a quiet time, in seconds of `keysPerSecond`. */
const BURST_SECONDS = 2;
/** Bound on the keys that have settled, in the same unit. */
const MOST_SECONDS = 5;
/** A key that changes all the time is given after so many times `settleMs`. */
const MOST_RESTS = 3;
/** A key that could not be judged for so long since it was given first is given up. */
const MOST_AGE_MS = 60_000;

/**
 * The keys of one source that changed recently and wait to be verified in one sink. Each is kept once, with its newest
 * change. There are at most five seconds' worth of them, and what changes while one settles: of the keys that change in a quarter of a second as many are
 * kept as can be verified, each with the same chance (reservoir sampling).
 */
export class RecentKeys {
  readonly #options: RecentKeysOptions;
  readonly #nowMs: () => number;
  readonly #random: () => number;
  readonly #entries = new Map<string, Entry>();
  /** The oldest first; keys come into the last one. */
  #slots: Slot[] = [];
  /** Keys that may be kept now. */
  #credit: number;
  #filledAtMs: number;

  constructor(options: RecentKeysOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#random = options.random ?? Math.random;
    this.#credit = options.keysPerSecond * BURST_SECONDS;
    this.#filledAtMs = this.#nowMs();
  }

  /** A key has changed. */
  note(table: TableName, key: string): void {
    const nowMs = this.#nowMs();
    const slot = this.#openSlot(nowMs);
    const id = identify(table, key);
    const known = this.#entries.get(id);
    if (known !== undefined) {
      if (known.slot === slot || nowMs - known.sinceMs >= MOST_RESTS * this.#options.settleMs) return;
      this.#remove(known);
      this.#credit++;
    }
    this.#offer(slot, table, { key, sinceMs: known?.sinceMs ?? nowMs, givenMs: known?.givenMs ?? null });
  }

  /** Takes up to `most` keys that have settled, all of one table that `isFree`: of the one that waits longest. */
  take(isFree: (table: TableName) => boolean, most: number): { table: TableName; keys: RecentKey[] } | null {
    const nowMs = this.#nowMs();
    const dueMs = nowMs - SLOT_MS - this.#options.settleMs;
    const due = this.#slots.filter(({ openedAtMs }) => openedAtMs <= dueMs).flatMap(({ entries }) => entries);
    const first = due.find(isFree);
    if (first === undefined) return null;
    const { database, table } = first;
    const taken = due.filter((entry) => entry.database === database && entry.table === table).slice(0, most);
    for (const entry of taken) this.#remove(entry);
    const [open] = this.#slots.slice(-1);
    this.#slots = this.#slots.filter((slot) => slot === open || slot.entries.length > 0);
    return {
      table: { database, table },
      keys: taken.map(({ key, sinceMs, givenMs }) => ({ key, sinceMs, givenMs: givenMs ?? nowMs })),
    };
  }

  /** Keys that were taken and not judged are given again after they have settled; gives how many are given up. */
  putBack(table: TableName, keys: readonly RecentKey[]): number {
    const nowMs = this.#nowMs();
    const slot = this.#openSlot(nowMs);
    let givenUp = 0;
    for (const key of keys) {
      if (this.#entries.has(identify(table, key.key))) continue; // it has changed meanwhile
      if (nowMs - (key.givenMs ?? nowMs) >= MOST_AGE_MS) givenUp++;
      else this.#offer(slot, table, key);
    }
    return givenUp;
  }

  status(): RecentKeysStatus {
    const [oldest] = this.#slots.filter(({ entries }) => entries.length > 0);
    const settledAtMs = (oldest?.openedAtMs ?? Infinity) + SLOT_MS + this.#options.settleMs;
    return {
      waiting: this.#entries.size,
      behindMs: Math.max(0, Math.round(this.#nowMs() - settledAtMs)),
    };
  }

  #openSlot(nowMs: number): Slot {
    const last = this.#slots.at(-1);
    if (last !== undefined && nowMs < last.openedAtMs + SLOT_MS) return last;
    const { keysPerSecond } = this.#options;
    this.#credit = Math.min(
      this.#credit + ((nowMs - this.#filledAtMs) * keysPerSecond) / 1000,
      keysPerSecond * BURST_SECONDS,
    );
    this.#filledAtMs = nowMs;
    const opened = { openedAtMs: nowMs, entries: [], offered: 0 };
    this.#slots.push(opened);
    return opened;
  }

  #offer(slot: Slot, { database, table }: TableName, { key, sinceMs, givenMs }: RecentKey): void {
    const { keysPerSecond, settleMs } = this.#options;
    const entry = { id: identify({ database, table }, key), database, table, key, sinceMs, givenMs, slot };
    const most = keysPerSecond * (settleMs / 1000 + MOST_SECONDS);
    const hasRoom = this.#credit >= 1 && this.#entries.size < most;
    slot.offered++;
    if (hasRoom) {
      this.#credit--;
      this.#put({ ...entry, at: slot.entries.length });
      return;
    }
    this.#options.onLeftOut();
    const at = Math.floor(this.#random() * slot.offered);
    const replaced = slot.entries[at];
    if (replaced === undefined) return;
    this.#entries.delete(replaced.id);
    this.#put({ ...entry, at });
  }

  #put(entry: Entry): void {
    entry.slot.entries[entry.at] = entry;
    this.#entries.set(entry.id, entry);
  }

  /** The last of the slot comes into its place. */
  #remove({ id, slot, at }: Entry): void {
    this.#entries.delete(id);
    const last = slot.entries.pop() as Entry;
    if (last.id === id) return;
    last.at = at;
    slot.entries[at] = last;
  }
}

/** JSON keeps apart names that hold each other's separators. */
function identify({ database, table }: TableName, key: string): string {
  return JSON.stringify([database, table, key]);
}
