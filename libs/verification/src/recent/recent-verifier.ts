import { encodeKeyValues, type Row, type TableLayout, type TableName } from '#change-events';
import { isAbort, sleep, toDittoError } from '#kernel';
import { type RecordedStream } from '../ports/recorded-stream.ts';
import { type NotJudged, type RowVerifier, type Verdict } from '../row-verifier.ts';
import { type RecentKey, type RecentKeys } from './recent-keys.ts';

export interface RecentVerifierOptions {
  readonly keys: RecentKeys;
  /** The key, as `rowOfKey` makes it; null for what is no key of the layout. */
  readonly decodeKey: (layout: TableLayout, key: string) => Row | null;
  readonly readTable: RecordedStream['readTable'];
  readonly openVerifier: () => Promise<Pick<RowVerifier, 'verifyKeys'>>;
  /** Most keys of one call. */
  readonly batchKeys: number;
  /** Called for each verdict; what it rejects with is an error of the batch. */
  readonly onJudged: (layout: TableLayout, verdict: Verdict) => Promise<void>;
  /** Keys of which nothing is said: their table can't be judged, or they never rested. */
  readonly onGivenUp: (keys: number, reason: NotJudged['state'] | 'unsettled' | 'failed') => void;
  /** Called when a table has an error that it did not have before. */
  readonly onTrouble: (error: unknown, table: TableName) => void;
}

/** Most of a batch's time is spent on waiting for the checkpoint. */
const BATCHES_AT_ONCE = 8;
/** Keys that settle while a batch is under way do not wait for its end; a table that takes long has no more than these, and only one while few places are free. */
const BATCHES_OF_TABLE = 2;
const LOOK_MS = 100;
/** After an error nothing is asked of the table for so long. */
const REST_MS = 1_000;
/** An error that was not met again for so long says nothing of now. */
const TROUBLE_KEPT_MS = 60_000;
/** So many reads of one batch may fail while the rows that can't be read are searched: enough for a few of them. */
const MOST_FAILURES = 64;

interface Trouble {
  readonly reason: string;
  readonly atMs: number;
  /** Whether nothing of the batch could be verified. */
  readonly isHolding: boolean;
}

/** What became of a batch. */
interface Outcome {
  verified: boolean;
  failures: number;
  error: unknown;
}

/**
 * Verifies the keys of one source that changed recently, in one sink. Each table has few batches under way, so that a table
 * that can't be read holds up no other. What could not be judged is tried again with the keys that come next.
 */
export class RecentVerifier {
  readonly #options: RecentVerifierOptions;
  readonly #underWay = new Set<Promise<void>>();
  /** Batches that are under way, by table. */
  readonly #batches = new Map<string, number>();
  /** Tables with an error, and until when they rest. */
  readonly #resting = new Map<string, number>();
  /** The newest error of each table that had one in its last batch. */
  readonly #troubles = new Map<string, Trouble>();

  constructor(options: RecentVerifierOptions) {
    this.#options = options;
  }

  /** Why nothing of a table can be verified at the moment; null while all can. */
  get holdingBecause(): string | null {
    const keptSinceMs = performance.now() - TROUBLE_KEPT_MS;
    const holding = [...this.#troubles.values()].find(({ isHolding, atMs }) => isHolding && atMs >= keptSinceMs);
    return holding?.reason ?? null;
  }

  /** Until the signal. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#begin(signal);
      await sleep(LOOK_MS, signal).catch(() => undefined);
    }
    await Promise.all(this.#underWay);
  }

  #begin(signal: AbortSignal): void {
    const { keys, batchKeys } = this.#options;
    const nowMs = performance.now();
    for (const [name, untilMs] of this.#resting) if (nowMs >= untilMs) this.#resting.delete(name);
    for (const [name, { atMs }] of this.#troubles) if (nowMs >= atMs + TROUBLE_KEPT_MS) this.#troubles.delete(name);
    const isFree = (table: TableName): boolean => {
      const name = nameOf(table);
      // a few tables that take long must not have all places
      const most = this.#underWay.size <= BATCHES_AT_ONCE / 2 ? BATCHES_OF_TABLE : 1;
      return (this.#batches.get(name) ?? 0) < most && !this.#resting.has(name);
    };
    while (this.#underWay.size < BATCHES_AT_ONCE) {
      const batch = keys.take(isFree, batchKeys);
      if (batch === null) return;
      const name = nameOf(batch.table);
      this.#batches.set(name, (this.#batches.get(name) ?? 0) + 1);
      const work = this.#verify(batch.table, batch.keys, signal).finally(() => {
        this.#underWay.delete(work);
        const others = (this.#batches.get(name) ?? 1) - 1;
        if (others > 0) this.#batches.set(name, others);
        else this.#batches.delete(name);
      });
      this.#underWay.add(work);
    }
  }

  async #verify(table: TableName, keys: readonly RecentKey[], signal: AbortSignal): Promise<void> {
    const outcome: Outcome = { verified: false, failures: 0, error: null };
    await this.#verifySome(table, keys, outcome, signal);
    if (signal.aborted) return;
    const name = nameOf(table);
    if (outcome.error === null) {
      this.#troubles.delete(name);
      return;
    }
    const { code, message } = toDittoError(outcome.error);
    const reason = `${code}: ${message}`;
    if (this.#troubles.get(name)?.reason !== reason) this.#options.onTrouble(outcome.error, table);
    const atMs = performance.now();
    this.#troubles.set(name, { reason, atMs, isHolding: !outcome.verified });
    this.#resting.set(name, atMs + REST_MS);
  }

  /** One row that can't be read makes its whole batch fail: it is searched by halves, so that only it is given up. */
  async #verifySome(
    table: TableName,
    keys: readonly RecentKey[],
    outcome: Outcome,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      await this.#judge(table, keys, signal);
      outcome.verified = true;
    } catch (error) {
      if (signal.aborted || isAbort(error)) return;
      outcome.error = error;
      outcome.failures++;
      if (toDittoError(error).retriable) this.#putBack(table, keys, 'waiting');
      else if (keys.length === 1 || outcome.failures > MOST_FAILURES) this.#options.onGivenUp(keys.length, 'failed');
      else {
        const half = Math.ceil(keys.length / 2);
        await this.#verifySome(table, keys.slice(0, half), outcome, signal);
        await this.#verifySome(table, keys.slice(half), outcome, signal);
      }
    }
  }

  async #judge(table: TableName, keys: readonly RecentKey[], signal: AbortSignal): Promise<void> {
    const { readTable, decodeKey, openVerifier, onJudged, onGivenUp } = this.#options;
    const recorded = await readTable(table, signal);
    // a name that is no table's; or the copy that is under way is compared by the next pass
    if (recorded?.copied !== 'yes') {
      onGivenUp(keys.length, recorded?.copied === 'no' ? 'being re-read' : 'not verifiable');
      return;
    }
    const { layout } = recorded;
    const byText = new Map<string, { readonly row: Row; readonly recent: RecentKey }>();
    for (const recent of keys) {
      const row = decodeKey(layout, recent.key);
      if (row !== null) byText.set(encodeKeyValues(layout, row), { row, recent });
    }
    if (byText.size === 0) return;
    const rows = [...byText.values()].map(({ row }) => row);
    const verdict = await (await openVerifier()).verifyKeys(table, layout, rows, signal);
    if (verdict.state === 'judged') {
      await onJudged(layout, verdict);
      const again = verdict.unsettled.flatMap((row) => byText.get(encodeKeyValues(layout, row))?.recent ?? []);
      this.#putBack(table, again, 'unsettled');
    } else if (verdict.state === 'waiting') this.#putBack(table, keys, 'waiting');
    else onGivenUp(keys.length, verdict.state);
  }

  #putBack(table: TableName, keys: readonly RecentKey[], reason: 'waiting' | 'unsettled'): void {
    const givenUp = this.#options.keys.putBack(table, keys);
    if (givenUp > 0) this.#options.onGivenUp(givenUp, reason);
  }
}

function nameOf({ database, table }: TableName): string {
  return JSON.stringify([database, table]);
}
