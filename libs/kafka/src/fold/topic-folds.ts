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

/** The folded topics of one worker. The store that was not used for longest goes when others need its room. */
export class TopicFolds {
  readonly #options: TopicFoldsOptions;
  readonly #folder: FoldFolder;
  /** The one that was used last is the last. */
  readonly #folds = new Map<string, TopicFold>();
  readonly #refused = new Map<string, number>();

  /** Removes what workers that are dead have left. Throws `DITTO_KAFKA_FOLD_FOLDER`. */
  constructor(options: TopicFoldsOptions) {
    this.#options = options;
    this.#folder = new FoldFolder(options.folder);
  }

  /** `TopicFold.use` */
  use<T>(topic: string, signal: AbortSignal, look: (store: FoldStore | null, partitions: number) => T): Promise<T> {
    if (performance.now() < (this.#refused.get(topic) ?? 0)) return Promise.reject(this.#tooLarge(topic));
    const fold = this.#folds.get(topic) ?? this.#open(topic);
    this.#folds.delete(topic);
    this.#folds.set(topic, fold);
    return fold.use(signal, look);
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

  #makeRoom(topic: string): void {
    const { maxBytes, logger } = this.#options;
    const sum = (): number => [...this.#folds.values()].reduce((bytes, fold) => bytes + fold.bytes, 0);
    while (sum() > maxBytes) {
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
      'DITTO_KAFKA_FOLDS_FULL',
      `the newest messages of topic ${topic} wait for room: other topics in use have the ${maxBytes} bytes that dws.folds.maxBytes allows`,
      { retriable: true, remedy: 'Raise dws.folds.maxBytes if it does not pass.', context: { topic, maxBytes } },
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
