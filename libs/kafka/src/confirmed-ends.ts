import { Backoff, DittoError, type Logger, retry, sleep, toDittoError } from '#kernel';
import { type Grant } from '#replication';

import { type ConfirmedEnd, type ConfirmedEndStore, type PartitionLoss } from './confirmed-end-store.ts';
import { KAFKA_ERROR_CODES } from './kafka-errors.ts';
import { type TopicReader } from './topic-reader.ts';

export interface ConfirmedEndsOptions {
  readonly grant: Grant;
  readonly store: ConfirmedEndStore;
  readonly reader: Pick<TopicReader, 'findEnds'>;
  readonly logger: Logger;
  /** How often what has grown is kept; default 1 s. */
  readonly saveMs?: number;
  /** How often all partitions are looked at, those without new messages too; default 30 s. */
  readonly checkMs?: number;
}

const BACKOFF = { initialMs: 200, maxMs: 5_000 };

/**
 * Notices that confirmed messages are gone: the end of a partition only ever grows, so a partition that ends below what
 * was confirmed, or takes a new message there, has lost some (docs/decisions/0002-kafka-client.md has the table of
 * causes). Looked at with each confirmation, at the opening of the source, and from time to time.
 *
 * A loss is recorded before it is reported, and kept until the source is rewound or resynced: a restart does not
 * pass over it.
 */
export class ConfirmedEnds {
  readonly #options: ConfirmedEndsOptions;
  /** By topic and partition. */
  readonly #ends = new Map<string, number[]>();
  readonly #grown = new Map<string, Set<number>>();
  /** Topics that this process publishes to. One of a table that is gone may be deleted. */
  readonly #used = new Set<string>();
  /** Of the known topics those that do not exist. */
  #absent = new Set<string>();
  readonly #closing = new AbortController();
  #running: Promise<unknown> = Promise.resolve();

  constructor(options: ConfirmedEndsOptions) {
    this.#options = options;
  }

  /** Throws `DITTO_KAFKA_CONFIRMED_LOST` when messages are gone. `onLost`: the same, found later. */
  async open(onLost: (error: DittoError) => void): Promise<void> {
    const { grant, store, saveMs = 1_000, checkMs = 30_000 } = this.#options;
    const { ends, losses } = await store.load(grant.source);
    for (const { topic, partition, end } of ends) this.#endsOf(topic)[partition] = end;
    if (losses.length > 0) throw confirmedLost(losses);
    await this.#check();
    this.#running = Promise.all([
      this.#repeat(saveMs, () => this.#save(), onLost),
      this.#repeat(checkMs, () => this.#check(), onLost),
    ]);
  }

  /** Before the topic is published to, or created. Throws `DITTO_KAFKA_CONFIRMED_LOST` when it was deleted. */
  async use(topic: string): Promise<void> {
    this.#used.add(topic);
    if (!this.#absent.has(topic)) return;
    await this.#check();
    this.#absent.delete(topic);
  }

  /** `count` messages from `offset` on are confirmed. Resolves at once unless that shows a loss; then it rejects. */
  confirm(topic: string, partition: number, offset: number, count: number): Promise<void> | undefined {
    const ends = this.#endsOf(topic);
    const confirmedEnd = ends[partition] ?? 0;
    if (offset < confirmedEnd) return this.#lose([{ topic, partition, confirmedEnd, survivingEnd: offset }]);
    ends[partition] = offset + count;
    let grown = this.#grown.get(topic);
    if (grown === undefined) this.#grown.set(topic, (grown = new Set()));
    grown.add(partition);
    return undefined;
  }

  /** Rejects when the partition lacks confirmed messages, or when that can't be known now. */
  async verify(topic: string, partition: number): Promise<void> {
    const confirmedEnd = this.#endsOf(topic)[partition] ?? 0;
    const survivingEnd = (await this.#options.reader.findEnds([topic])).get(topic)?.[partition] ?? 0;
    if (survivingEnd < confirmedEnd) await this.#lose([{ topic, partition, confirmedEnd, survivingEnd }]);
  }

  /** Keeps what has grown. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
    await this.#save().catch((cause: unknown) => {
      this.#report('how far partitions are confirmed could not be kept', cause);
    });
  }

  /** Compares all partitions with the brokers. */
  async #check(): Promise<void> {
    const losses = await this.#findLosses();
    if (losses.length > 0) await this.#lose(losses);
  }

  async #findLosses(): Promise<PartitionLoss[]> {
    const confirmed = new Map([...this.#ends].map(([topic, ends]) => [topic, [...ends]]));
    const found = await this.#options.reader.findEnds([...confirmed.keys()]);
    this.#absent = new Set([...confirmed.keys()].filter((topic) => !found.has(topic)));
    return [...confirmed]
      .filter(([topic]) => found.has(topic) || this.#used.has(topic))
      .flatMap(([topic, ends]) =>
        ends.flatMap((confirmedEnd, partition) => {
          const survivingEnd = found.get(topic)?.[partition] ?? 0;
          return survivingEnd < confirmedEnd ? [{ topic, partition, confirmedEnd, survivingEnd }] : [];
        }),
      );
  }

  /** What took messages of one partition has mostly taken some of others: all are looked at. */
  async #lose(known: readonly PartitionLoss[]): Promise<never> {
    const { store, grant, logger } = this.#options;
    const others = await this.#findLosses().catch(() => []);
    const named = new Set(known.map(nameOf));
    const losses = [...known, ...others.filter((loss) => !named.has(nameOf(loss)))];
    logger.error('confirmed messages are gone from Kafka', { source: grant.source, losses: losses.slice(0, 20) });
    await this.#insist(() => store.recordLosses(grant, losses));
    throw confirmedLost(losses);
  }

  async #save(): Promise<void> {
    if (this.#grown.size === 0) return;
    const grown = [...this.#grown];
    this.#grown.clear();
    const ends = grown.flatMap(([topic, partitions]) =>
      [...partitions].map((partition): ConfirmedEnd => ({
        topic,
        partition,
        end: this.#endsOf(topic)[partition] ?? 0,
      })),
    );
    try {
      await this.#options.store.save(this.#options.grant, ends);
    } catch (cause) {
      for (const [topic, partitions] of grown)
        this.#grown.set(topic, new Set([...partitions, ...(this.#grown.get(topic) ?? [])]));
      throw cause;
    }
  }

  async #repeat(ms: number, work: () => Promise<void>, onLost: (error: DittoError) => void): Promise<void> {
    const { signal } = this.#closing;
    for (;;) {
      await sleep(ms, signal).catch(() => undefined);
      if (signal.aborted) return;
      try {
        await work();
      } catch (cause) {
        const error = toDittoError(cause);
        if (error.code === KAFKA_ERROR_CODES.confirmedLost) {
          onLost(error);
          return;
        }
        this.#report('what partitions hold could not be looked at or kept, trying again', cause);
      }
    }
  }

  #insist<T>(work: () => Promise<T>): Promise<T> {
    return retry(work, { backoff: new Backoff(BACKOFF), signal: this.#closing.signal });
  }

  #report(what: string, cause: unknown): void {
    const { code, message } = toDittoError(cause);
    this.#options.logger.warn(what, { source: this.#options.grant.source, code, error: message });
  }

  #endsOf(topic: string): number[] {
    let ends = this.#ends.get(topic);
    if (ends === undefined) this.#ends.set(topic, (ends = []));
    return ends;
  }
}

function nameOf({ topic, partition }: PartitionLoss): string {
  return `${topic}/${partition}`;
}

function confirmedLost(losses: readonly PartitionLoss[]): DittoError {
  const [first] = losses as readonly [PartitionLoss];
  const others = losses.length > 1 ? ` (and of ${losses.length - 1} other partitions)` : '';
  return new DittoError(
    KAFKA_ERROR_CODES.confirmedLost,
    `confirmed messages of ${nameOf(first)} are gone${others}: it was confirmed up to offset ${first.confirmedEnd}, and lost what was at offset ${first.survivingEnd} and after it`,
    {
      remedy:
        'See that the brokers lose nothing more, then rewind the source (npm run ditto -- rewind --source <name>): it streams again from before the loss.',
      context: { losses: losses.slice(0, 100), partitions: losses.length },
    },
  );
}
