import { lineageOf } from '#change-events';
import { isLogged } from '#verification';

import { isVersion } from './message-version.ts';
import { retryBriefly } from './retry-briefly.ts';
import { readHeader, type TopicMessage, type TopicReader } from './topic-reader.ts';

/** A change of the log that must have a message. */
export interface WantedMessage {
  /** `ditto.id` */
  readonly id: string;
  readonly version: string;
  readonly partition: number;
  /** Milliseconds since 1970. */
  readonly committedMs: number;
}

export type UnknownReason = 'compacted' | 'forgotten' | 'too many messages' | 'too long';

export interface SearchedMessages<Wanted> {
  readonly found: number;
  /** Not in the topic, although it still has all that came before and after. */
  readonly missing: readonly Wanted[];
  /** Of which nothing can be said. */
  readonly unknown: ReadonlyMap<UnknownReason, number>;
}

export interface MessageSearchOptions {
  readonly reader: Pick<TopicReader, 'findBounds' | 'searchBackwards'>;
  /** Of one partition. */
  readonly mostMessages: number;
}

interface Seen {
  readonly offset: number;
  readonly id: string;
  /** Null unless it is of a change of the log. */
  readonly version: string | null;
  readonly publishedMs: number;
}

/** How far the clocks of the source and of what publishes may be apart. */
const MOST_CLOCK_OFFSET_MS = 300_000;

/**
 * Looks for the messages of changes, from the end of each partition backwards, and says of which a message is missing.
 *
 * A partition has the changes in the order of the log, except that a suffix may be repeated; and all that a checkpoint
 * covers. So from a message with a lower version on, up to the end, there must be one of each change that comes after it
 * and that the checkpoint covers. It is missing only when no offset in between is missing: compaction leaves out offsets,
 * and so do the markers of transactions. A message with a lower version that somebody has published since proves nothing;
 * so the search goes on until the messages are older than the change.
 */
export class MessageSearch {
  readonly #options: MessageSearchOptions;

  constructor(options: MessageSearchOptions) {
    this.#options = options;
  }

  /** A checkpoint that was read before this is called covers all that is wanted, which is of one lineage. */
  async find<Wanted extends WantedMessage>(
    topic: string,
    wanted: readonly Wanted[],
    untilMs: number,
    signal: AbortSignal,
  ): Promise<SearchedMessages<Wanted>> {
    const missing: Wanted[] = [];
    const unknown = new Map<UnknownReason, number>();
    for (const [partition, ofPartition] of groupByPartition(wanted)) {
      const search = new PartitionSearch(ofPartition, this.#options.mostMessages);
      const reason = await this.#search(topic, partition, search, untilMs, signal);
      if (reason === null) missing.push(...search.pending.values());
      else unknown.set(reason, (unknown.get(reason) ?? 0) + search.pending.size);
    }
    const unknowns = [...unknown.values()].reduce((sum, count) => sum + count, 0);
    return { found: wanted.length - missing.length - unknowns, missing, unknown };
  }

  async #search(
    topic: string,
    partition: number,
    search: PartitionSearch<WantedMessage>,
    untilMs: number,
    signal: AbortSignal,
  ): Promise<UnknownReason | null> {
    const { reader } = this.#options;
    const bounds = await retryBriefly(signal, () => reader.findBounds(topic, partition));
    search.begin(bounds.end);
    for await (const batches of reader.searchBackwards(topic, partition, bounds, signal, toSeen)) {
      for (const batch of batches.toReversed())
        for (const message of batch.messages.toReversed()) {
          const outcome = message.offset < bounds.end ? search.take(message) : 'go on';
          if (outcome !== 'go on') return outcome;
        }
      if (Date.now() > untilMs) return 'too long';
    }
    return search.end(bounds.start);
  }
}

class PartitionSearch<Wanted extends WantedMessage> {
  readonly pending: Map<string, Wanted>;
  readonly #lineage: number;
  readonly #lowest: string;
  readonly #oldestMs: number;
  #left: number;
  #next = 0;
  #isContiguous = true;

  constructor(wanted: readonly Wanted[], mostMessages: number) {
    this.pending = new Map(wanted.map((one) => [one.id, one]));
    this.#left = mostMessages;
    this.#lowest = wanted.reduce((lowest, { version }) => (version < lowest ? version : lowest), 'g');
    this.#lineage = lineageOf(this.#lowest);
    this.#oldestMs = wanted.reduce((oldest, { committedMs }) => Math.min(oldest, committedMs), Infinity);
  }

  begin(end: number): void {
    this.#next = end;
  }

  /** The next older one. Null: what is pending is missing. */
  take({ offset, id, version, publishedMs }: Seen): UnknownReason | null | 'go on' {
    if (offset !== this.#next - 1) this.#isContiguous = false;
    this.#next = offset;
    this.pending.delete(id);
    if (this.pending.size === 0) return null;
    const isBefore = version !== null && version < this.#lowest && lineageOf(version) === this.#lineage;
    if (isBefore && publishedMs < this.#oldestMs - MOST_CLOCK_OFFSET_MS) return this.#conclude();
    return --this.#left > 0 ? 'go on' : 'too many messages';
  }

  end(start: number): UnknownReason | null {
    if (this.#next !== start) this.#isContiguous = false;
    return this.pending.size > 0 && start > 0 ? 'forgotten' : this.#conclude();
  }

  #conclude(): UnknownReason | null {
    return this.pending.size === 0 || this.#isContiguous ? null : 'compacted';
  }
}

function groupByPartition<Wanted extends WantedMessage>(
  wanted: readonly Wanted[],
): ReadonlyMap<number, readonly Wanted[]> {
  const groups = new Map<number, Wanted[]>();
  for (const one of wanted) {
    const group = groups.get(one.partition);
    if (group === undefined) groups.set(one.partition, [one]);
    else group.push(one);
  }
  return groups;
}

function toSeen(message: TopicMessage): Seen {
  const { offset, publishedMs } = message;
  const version = readHeader(message, 'ditto.version');
  return {
    // a tombstone has the identity of the delete before it, which may be missing
    ...{ offset, publishedMs, id: message.value === null ? '' : readHeader(message, 'ditto.id') },
    version: isVersion(version) && isLogged(version) ? version : null,
  };
}
