import { rmSync } from 'node:fs';

import { findOperation, readEnvelope } from '#change-events';
import { collectYoung, DittoError } from '#kernel';
import { followOrder, isLogged, isNotVerifiable, type KeyOrder, notVerifiable } from '#verification';

import { isMissingTopic, KAFKA_ERROR_CODES } from '../kafka-errors.ts';
import { TABLE_CHANGE_KEY } from '../kafka-publisher.ts';
import { isVersion } from '../message-version.ts';
import { retryBriefly } from '../retry-briefly.ts';
import {
  type PartitionBounds,
  readHeader,
  type TopicExtent,
  type TopicMessage,
  type TopicReader,
} from '../topic-reader.ts';
import { unusable } from './fold-folder.ts';
import { type FoldedPlace, FoldStore } from './fold-store.ts';

export interface TopicFoldOptions {
  readonly reader: Pick<TopicReader, 'findExtent' | 'readForwards' | 'readSettings'>;
  readonly topic: string;
  /** The file of the store. */
  readonly path: string;
  /** Called before more is written; throws when there is no room for it. */
  readonly makeRoom: () => void;
  /** Called of the first ones after the store was begun. */
  readonly onOutOfOrder?: (finding: OrderFinding) => void;
  /** Milliseconds since 1970. */
  readonly nowMs?: () => number;
}

/** A message whose version is above all of its key before it, while a repeat of older ones had not come up to those. */
export interface OrderFinding {
  readonly key: string;
  readonly partition: number;
  readonly offset: number;
  readonly version: string;
  /** The highest version of the key before this message, which was not repeated. */
  readonly highest: string;
}

export interface TopicFoldStatus {
  /** Messages that were folded since the store was begun. */
  readonly messages: number;
  readonly outOfOrder: number;
  /** The first of them. */
  readonly samples: readonly OrderFinding[];
  /** How often all had to be read again. */
  readonly restarts: number;
  readonly bytes: number;
}

/** What the settings of a topic mean for its fold. */
interface Retention {
  /** Until then a tombstone stays. */
  readonly tombstoneMs: number;
  /** Why messages go that no newer ones replace; null when they do not. */
  readonly expires: string | null;
  readonly readAtMs: number;
}

const SETTINGS_MS = 60_000;
/** Kafka's default for `delete.retention.ms`. */
const DEFAULT_TOMBSTONE_MS = 86_400_000;
const MOST_SAMPLES = 20;
const MOST_RESTARTS = 2;
const TABLE_CHANGE = Buffer.from(TABLE_CHANGE_KEY);

/**
 * The last message of each key of one topic, kept in a local store that follows the topic: each use first reads what is
 * new, up to where every partition ends at that moment.
 *
 * A message is never taken away from under the fold unnoticed. Compaction removes a message only when a newer one of its
 * key is there, except tombstones, which go some time after they were written: a fold that has not been at the end of
 * the topic for that long begins again. So does the fold of a topic that was deleted and made again, or has lost messages
 * at its end or, by DeleteRecords, at its beginning.
 *
 * A `t` message removes the keys of its partition that are older. After a change of the partition count a key can be in
 * two partitions: the message with the higher version counts.
 */
export class TopicFold {
  readonly #options: TopicFoldOptions;
  readonly #nowMs: () => number;
  #store: FoldStore | null = null;
  #retention: Retention | null = null;
  #last: Promise<unknown> = Promise.resolve();
  #users = 0;
  #messages = 0;
  #outOfOrder = 0;
  #restarts = 0;
  #isWhole = false;
  #samples: OrderFinding[] = [];

  constructor(options: TopicFoldOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? Date.now;
  }

  get isIdle(): boolean {
    return this.#users === 0;
  }

  /** Whether the store has been at the end of the topic since it was begun. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  get bytes(): number {
    return this.#store?.bytes ?? 0;
  }

  status(): TopicFoldStatus {
    return {
      messages: this.#messages,
      outOfOrder: this.#outOfOrder,
      samples: this.#samples,
      restarts: this.#restarts,
      bytes: this.bytes,
    };
  }

  /**
   * Gives `look` a store that has all that was in the topic when this was called; null when there is no topic. `look` must
   * not wait for anything. Rejects with a `notVerifiable` when the topic can't be folded, else with a coded error. What is
   * folded by this call asks `makeRoom` for its room.
   */
  use<T>(
    signal: AbortSignal,
    look: (store: FoldStore | null, partitions: number) => T,
    makeRoom = this.#options.makeRoom,
  ): Promise<T> {
    this.#users++;
    const used = this.#last
      .then(() => this.#catchUp(signal, makeRoom))
      .then((partitions) => look(this.#store, partitions))
      .finally(() => this.#users--);
    this.#last = used.catch(() => undefined);
    return used;
  }

  /** Removes the store. Only while it is idle. */
  clear(): void {
    this.#store?.close();
    this.#store = null;
    this.#isWhole = false;
    this.#messages = 0;
    this.#outOfOrder = 0;
    this.#samples = [];
    rmSync(this.#options.path, { force: true });
  }

  /** Closes the store; another `TopicFold` can continue with the file. */
  async close(): Promise<void> {
    await this.#last;
    this.#store?.close();
    this.#store = null;
  }

  /** Resolves to the number of partitions. */
  async #catchUp(signal: AbortSignal, makeRoom: () => void): Promise<number> {
    const { reader, topic } = this.#options;
    const retention = await this.#readRetention(signal);
    for (let restarts = 0; ; restarts++) {
      signal.throwIfAborted();
      const askedMs = this.#nowMs();
      const extent = await retryBriefly(signal, () => reader.findExtent(topic));
      if (extent === null) {
        this.clear();
        return 0;
      }
      const store = (this.#store ??= new FoldStore(this.#options.path));
      const sinceMs = store.readTopic()?.asOfMs ?? askedMs;
      const isSound = isContinued(store, extent) && askedMs - sinceMs < retention.tombstoneMs;
      if (isSound) {
        if (store.readTopic() === null) store.saveTopic(extent.id, askedMs);
        await this.#foldAll(store, extent.bounds, makeRoom, signal);
        if (this.#nowMs() - sinceMs < retention.tombstoneMs) {
          store.saveTopic(extent.id, askedMs);
          this.#isWhole = true;
          return extent.bounds.length;
        }
      }
      this.clear();
      this.#restarts++;
      if (restarts >= MOST_RESTARTS)
        throw notVerifiable(
          `topic ${topic} can't be read as fast as it forgets deleted keys (delete.retention.ms ${retention.tombstoneMs}), or was deleted again and again`,
          { topic },
        );
    }
  }

  async #readRetention(signal: AbortSignal): Promise<Retention> {
    const { reader, topic } = this.#options;
    const known = this.#retention;
    const readAtMs = this.#nowMs();
    if (known === null || readAtMs - known.readAtMs >= SETTINGS_MS) {
      const settings = await retryBriefly(signal, () => reader.readSettings(topic)).catch((error: unknown) => {
        if (isMissingTopic(error)) return new Map<string, string>();
        throw isDenied(error) ? unknownSettings(topic) : error;
      });
      signal.throwIfAborted();
      const tombstoneMs = Number(settings.get('delete.retention.ms') ?? DEFAULT_TOMBSTONE_MS);
      this.#retention = { tombstoneMs, expires: findExpiry(settings), readAtMs };
    }
    const retention = this.#retention as Retention;
    if (retention.expires !== null)
      throw notVerifiable(`topic ${topic} forgets rows by age or size: ${retention.expires}`, { topic });
    return retention;
  }

  async #foldAll(
    store: FoldStore,
    bounds: readonly PartitionBounds[],
    makeRoom: () => void,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      // side by side they are not faster, and more is in memory
      for (const [partition, bound] of bounds.entries())
        await retryBriefly(signal, () => this.#foldPartition(store, partition, bound, makeRoom, signal));
    } catch (error) {
      const isUnusable = store.isBroken;
      if (isUnusable || isNotVerifiable(error)) this.clear();
      throw isUnusable ? unusable(this.#options.path, error) : error;
    }
  }

  async #foldPartition(
    store: FoldStore,
    partition: number,
    { start, end }: PartitionBounds,
    makeRoom: () => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { reader, topic } = this.#options;
    const folded = store.partitions[partition];
    if (folded === undefined) store.savePartition(partition, { start, position: start, end: null });
    const bounds = { start: folded?.position ?? start, end };
    for await (const { messages, next } of reader.readForwards(topic, partition, bounds, signal)) {
      makeRoom();
      let from = 0;
      for (const [i, message] of messages.entries()) {
        const ended = findEnding(message);
        if (ended === null) continue;
        // the place that is kept is the one before the ending until all that it removes is gone
        this.#foldSome(store, partition, messages.slice(from, i), message.offset);
        await store.removeBelow(partition, ended, signal);
        from = i;
      }
      this.#foldSome(store, partition, messages.slice(from), next);
      this.#messages += messages.length;
      // the page is dead by now, and its bytes with it
      collectYoung();
    }
  }

  #foldSome(store: FoldStore, partition: number, messages: readonly TopicMessage[], position: number): void {
    store.write(() => {
      for (const message of messages) this.#fold(store, partition, message);
      const { start, end } = store.partitions[partition] ?? { start: position, end: null };
      store.savePartition(partition, { start, position, end });
    });
  }

  #fold(store: FoldStore, partition: number, message: TopicMessage): void {
    const { key, value, offset } = message;
    // a topic that had no key once; compacted topics refuse it
    if (key === null) return;
    const version = findVersion(message);
    if (value !== null && findEnding(message) !== null) {
      endPartition(store, partition, version ?? '', value);
      return;
    }
    const op = value === null ? null : findOperation(value);
    const known = store.findPlace(key);
    if (known !== null && known.partition !== partition && (known.version ?? '') > (version ?? '')) return;
    const before = known?.partition === partition ? known : null;
    // the delete before its tombstone says more than that
    if (value === null && version !== null && before?.version === version && before.op === 'd') return;
    const order = this.#follow(before, { key, partition, offset, version });
    const outrankedBy = findOutranking(before, version);
    store.put(key, { partition, offset, version, id: readHeader(message, 'ditto.id'), op, value, order, outrankedBy });
  }

  #follow(
    before: FoldedPlace | null,
    {
      key,
      partition,
      offset,
      version,
    }: Omit<OrderFinding, 'key' | 'highest' | 'version'> & {
      readonly key: Buffer;
      readonly version: string | null;
    },
  ): KeyOrder | null {
    const known = before?.order ?? null;
    if (version === null || !isLogged(version)) return known;
    const { order, isOutOfOrder } = followOrder(known, version);
    if (isOutOfOrder && known !== null) {
      this.#outOfOrder++;
      if (this.#samples.length < MOST_SAMPLES) {
        const finding = { key: key.toString(), partition, offset, version, highest: known.highest };
        this.#samples.push(finding);
        this.#options.onOutOfOrder?.(finding);
      }
    }
    return order;
  }
}

function findVersion(message: TopicMessage): string | null {
  const header = readHeader(message, 'ditto.version');
  return isVersion(header) ? header : null;
}

/** The version of a message that ends all older rows of its partition; null for another one. */
function findEnding(message: TopicMessage): string | null {
  const { key, value } = message;
  if (key === null || value === null || !key.equals(TABLE_CHANGE) || findOperation(value) !== 't') return null;
  return findVersion(message);
}

function findOutranking(before: FoldedPlace | null, version: string | null): string | null {
  // what outranks a message is above its version
  const highest = before?.outrankedBy ?? before?.version ?? null;
  return highest !== null && highest > (version ?? '') ? highest : null;
}

/** Whether the topic still has all that was folded of it. */
function isContinued(store: FoldStore, { id, bounds }: TopicExtent): boolean {
  const topic = store.readTopic();
  return (
    (topic === null || topic.id === id) &&
    store.partitions.every(({ start, position }, partition) => {
      const now = bounds[partition];
      return now !== undefined && now.start <= start && now.end >= position;
    })
  );
}

function findExpiry(settings: ReadonlyMap<string, string>): string | null {
  const policy = settings.get('cleanup.policy') ?? 'compact';
  if (!policy.includes('delete')) return null;
  const limits = ['retention.ms', 'retention.bytes'].flatMap((name) => {
    const limit = settings.get(name) ?? '-1';
    return limit === '-1' ? [] : [`${name}=${limit}`];
  });
  return limits.length === 0 ? null : `cleanup.policy=${policy}, ${limits.join(', ')}`;
}

function endPartition(store: FoldStore, partition: number, version: string, value: Buffer): void {
  const folded = store.partitions[partition];
  if (folded === undefined || (folded.end !== null && folded.end.version > version)) return;
  const gtid = readEnvelope(value)?.source.gtid ?? null;
  store.savePartition(partition, { ...folded, end: { version, gtid } });
}

function isDenied(error: unknown): boolean {
  return error instanceof DittoError && error.code === KAFKA_ERROR_CODES.unauthorized;
}

/** A topic whose rows expire would seem to lack them. */
function unknownSettings(topic: string): DittoError {
  return notVerifiable(
    `whether topic ${topic} forgets rows is not known: grant the user of DWS DescribeConfigs on the topic`,
    { topic },
  );
}
