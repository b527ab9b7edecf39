import { DittoError, type Logger } from '#kernel';
import { notVerifiable } from '#verification';

import { type TopicReader } from '../topic-reader.ts';
import { FoldFolder } from './fold-folder.ts';
import { type FoldStore } from './fold-store.ts';
import { type OrderFinding, TopicFold, type TopicFoldStatus } from './topic-fold.ts';

export interface TopicFoldsOptions {
  readonly reader: TopicReader;
  /** Shared by the workers of a machine; each has a folder of its own in it. */
  readonly folder: string;
  /** Bound on the stores of all topics together. A topic that does not fit alone can't be verified. */
  readonly maxBytes: number;
  readonly logger: Logger;
}

/** After so long it is tried again whether a topic fits. */
const REFUSED_MS = 600_000;
const FULL = 'DITTO_KAFKA_FOLDS_FULL';

export interface FoldUse {
  /** Whether the stores of other topics may go to make room for this one; true by default. */
  readonly mayEvict?: boolean;
}

type Look<T> = (store: FoldStore | null, partitions: number) => T;

/** The folded topics of one worker. The store that was not used for longest goes when others need its room. */
export class TopicFolds {
  readonly #options: TopicFoldsOptions;
  readonly #folder: FoldFolder;
  /** The one that was used last is the last. */
  readonly #folds = new Map<string, TopicFold>();
  readonly #refused = new Map<string, number>();
  /** Topics that had no room beside the others, and until when that is taken as so. */
  readonly #crowdedOut = new Map<string, number>();

  /** Removes what workers that are dead have left. Throws `DITTO_KAFKA_FOLD_FOLDER`. */
  constructor(options: TopicFoldsOptions) {
    this.#options = options;
    this.#folder = new FoldFolder(options.folder);
  }

  /**
   * `TopicFold.use`. One that must not evict takes only what room is left, and rejects with a `notVerifiable` where that is
   * too little; it does not count for which store was not used for longest.
   */
  use<T>(topic: string, signal: AbortSignal, look: Look<T>, { mayEvict = true }: FoldUse = {}): Promise<T> {
    if (performance.now() < (this.#refused.get(topic) ?? 0)) return Promise.reject(this.#tooLarge(topic));
    return mayEvict ? this.#useEvicting(topic, signal, look) : this.#useRoom(topic, signal, look);
  }

  async #useEvicting<T>(topic: string, signal: AbortSignal, look: Look<T>): Promise<T> {
    const fold = this.#folds.get(topic) ?? this.#open(topic);
    this.#folds.delete(topic);
    this.#folds.set(topic, fold);
    const given = await fold.use(signal, look);
    this.#crowdedOut.delete(topic);
    return given;
  }

  async #useRoom<T>(topic: string, signal: AbortSignal, look: Look<T>): Promise<T> {
    if (performance.now() < (this.#crowdedOut.get(topic) ?? 0)) throw this.#noRoom(topic);
    const fold = this.#folds.get(topic) ?? this.#open(topic);
    this.#folds.set(topic, fold);
    try {
      return await fold.use(signal, look, () => this.#assertRoom(topic));
    } catch (error) {
      if (!(error instanceof DittoError) || error.code !== FULL) throw error;
      this.#crowdedOut.set(topic, performance.now() + REFUSED_MS);
      // a store that is only begun would be read from its beginning again, or keep the room for nothing
      if (fold.isIdle && !fold.isWhole && this.#folds.get(topic) === fold) {
        fold.clear();
        this.#folds.delete(topic);
      }
      throw this.#noRoom(topic);
    }
  }

  /** Of the topics that have a store now. */
  status(): ReadonlyMap<string, TopicFoldStatus> {
    return new Map([...this.#folds].map(([topic, fold]) => [topic, fold.status()]));
  }

  /** Ends what is under way and removes all stores. */
  async close(): Promise<void> {
    await Promise.all([...this.#folds.values()].map((fold) => fold.close()));
    this.#folder.close();
  }

  #open(topic: string): TopicFold {
    const { reader, logger } = this.#options;
    const makeRoom = (): void => this.#makeRoom(topic);
    const onOutOfOrder = (finding: OrderFinding): void =>
      logger.warn('a message of a topic is out of order', { topic, ...finding });
    return new TopicFold({ reader, topic, path: this.#folder.pathOf(topic), makeRoom, onOutOfOrder });
  }

  #sumBytes(): number {
    return [...this.#folds.values()].reduce((bytes, fold) => bytes + fold.bytes, 0);
  }

  /** Not retriable: what is read again at once has no more room. */
  #assertRoom(topic: string): void {
    if (this.#sumBytes() > this.#options.maxBytes) throw new DittoError(FULL, `no room is left for topic ${topic}`);
  }

  #makeRoom(topic: string): void {
    const { maxBytes, logger } = this.#options;
    while (this.#sumBytes() > maxBytes) {
      const idle = [...this.#folds].find(([, fold]) => fold.isIdle);
      if (idle === undefined) {
        // the others are in use now, and can make room afterwards
        if ((this.#folds.get(topic)?.bytes ?? 0) <= maxBytes) throw this.#full(topic);
        this.#refused.set(topic, performance.now() + REFUSED_MS);
        throw this.#tooLarge(topic);
      }
      const [name, fold] = idle;
      logger.info('a folded topic makes room for another', { topic: name, bytes: fold.bytes, by: topic });
      fold.clear();
      this.#folds.delete(name);
    }
  }

  #full(topic: string): Error {
    const { maxBytes } = this.#options;
    return new DittoError(
      FULL,
      `the newest messages of topic ${topic} wait for room: other topics in use have the ${maxBytes} bytes that dws.folds.maxBytes allows`,
      { retriable: true, remedy: 'Raise dws.folds.maxBytes if it does not pass.', context: { topic, maxBytes } },
    );
  }

  #noRoom(topic: string): Error {
    const { maxBytes } = this.#options;
    return notVerifiable(
      `the newest messages of topic ${topic} do not fit beside those of the other topics into the ${maxBytes} bytes that dws.folds.maxBytes allows`,
      { topic, maxBytes },
    );
  }

  #tooLarge(topic: string): Error {
    const { maxBytes } = this.#options;
    return notVerifiable(
      `the newest messages of topic ${topic} do not fit into the ${maxBytes} bytes that dws.folds.maxBytes allows`,
      { topic, maxBytes },
    );
  }
}
