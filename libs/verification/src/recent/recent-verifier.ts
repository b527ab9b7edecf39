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
  /** Called once for each error in a row. */
  readonly onTrouble: (error: unknown) => void;
}

/** Most of a batch's time is spent on waiting for the checkpoint. */
const BATCHES_AT_ONCE = 8;
/** Keys that settle while a batch is under way do not wait for its end; a table that takes long has no more than these. */
const BATCHES_OF_TABLE = 2;
const LOOK_MS = 100;
/** After an error nothing is asked of the table for so long. */
const REST_MS = 1_000;

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
  #holdingBecause: string | null = null;

  constructor(options: RecentVerifierOptions) {
    this.#options = options;
  }

  /** Why nothing can be verified at the moment; null while it can. */
  get holdingBecause(): string | null {
    return this.#holdingBecause;
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
    const isFree = (table: TableName): boolean => {
      const name = nameOf(table);
      return (this.#batches.get(name) ?? 0) < BATCHES_OF_TABLE && !this.#resting.has(name);
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
    const { onGivenUp } = this.#options;
    try {
      await this.#judge(table, keys, signal);
      this.#holdingBecause = null;
    } catch (error) {
      if (signal.aborted || isAbort(error)) return;
      const { code, message, retriable } = toDittoError(error);
      const reason = `${code}: ${message}`;
      if (this.#holdingBecause !== reason) this.#options.onTrouble(error);
      this.#holdingBecause = reason;
      this.#resting.set(nameOf(table), performance.now() + REST_MS);
      if (retriable) this.#putBack(table, keys, 'waiting');
      else onGivenUp(keys.length, 'failed');
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
