import { formatTableName } from '#change-events';
import { Backoff, type Logger, retry } from '#kernel';
import { type PublishedEvent } from '#kafka';
import { type RecentEvent, type RecentEventGap } from '#redis';
import { guessTable, sourceOf } from './topic-table.ts';

/** Larger values are left out of the window: it is for looking, and Redis holds it in memory. */
export const MAX_VALUE_BYTES = 16_384;

/** Where the window is kept. */
export interface EventKeeper {
  append(source: string, table: string, events: readonly RecentEvent[]): Promise<void>;
  appendGap(source: string, table: string, gap: RecentEventGap): Promise<void>;
}

export interface EventIntakeOptions {
  readonly keeper: EventKeeper;
  readonly logger: Logger;
  readonly onKept: (source: string, events: number) => void;
  readonly onSkipped: (source: string, events: number) => void;
  readonly nowMs?: () => number;
}

/** Puts what was published into the window, and says in the window what was left out. Waits for a keeper that is down. */
export class EventIntake {
  readonly #options: Required<EventIntakeOptions>;
  /** Tables by topic, as their messages named them. */
  readonly #tables = new Map<string, string>();
  /** What was left out since it was last reported, by topic. */
  #gaps = new Map<string, RecentEventGap>();

  constructor(options: EventIntakeOptions) {
    this.#options = { nowMs: () => Date.now(), ...options };
  }

  /** Events of one topic. Resolves when they are in the window. */
  async accept(events: readonly PublishedEvent[], signal: AbortSignal): Promise<void> {
    const [first] = events;
    if (!first) return;
    const { source, topic } = first;
    const table = formatTableName(first);
    this.#tables.set(topic, table);
    await this.#store(() => this.#options.keeper.append(source, table, events.map(toRecentEvent)), signal);
    this.#options.onKept(source, events.length);
  }

  noteJump(topic: string, skipped: number): void {
    const now = this.#options.nowMs();
    const known = this.#gaps.get(topic);
    this.#gaps.set(topic, { skipped: skipped + (known?.skipped ?? 0), fromMs: known?.fromMs ?? now, toMs: now });
    this.#options.onSkipped(sourceOf(topic), skipped);
  }

  /** Writes into the window what was left out since the last time. */
  async tellGaps(signal: AbortSignal): Promise<void> {
    const gaps = this.#gaps;
    this.#gaps = new Map();
    for (const [topic, gap] of gaps) {
      const table = this.#tables.get(topic) ?? guessTable(topic);
      await this.#store(() => this.#options.keeper.appendGap(sourceOf(topic), table, gap), signal);
    }
  }

  #store(write: () => Promise<void>, signal: AbortSignal): Promise<void> {
    const log = { logger: this.#options.logger, message: 'recent events can not be kept, trying again' };
    return retry(write, { backoff: new Backoff({ initialMs: 100, maxMs: 2_000 }), signal, log });
  }
}

function toRecentEvent(event: PublishedEvent): RecentEvent {
  const { key, op, id, version, gtid, commitMs, publishedMs, topic, partition, offset, value } = event;
  const bytes = Buffer.byteLength(value);
  const kept = bytes <= MAX_VALUE_BYTES ? { value, omittedBytes: 0 } : { value: null, omittedBytes: bytes };
  return { key, op, id, version, gtid, commitMs, publishedMs, topic, partition, offset, ...kept };
}
