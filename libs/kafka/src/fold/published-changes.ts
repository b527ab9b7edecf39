import { compileKeyEncoder, partitionForKey, type Row, type TableLayout, topicName } from '#change-events';
import { MessageRow, type MessageTable } from '#verification';

import { retryBriefly } from '../retry-briefly.ts';
import { readHeader, type TopicMessage, type TopicReader } from '../topic-reader.ts';

export interface PublishedChangesOptions {
  readonly reader: TopicReader;
  /** The source's name: first part of every topic. */
  readonly source: string;
  readonly bigint: MessageTable['bigint'];
  /** So many messages of a partition are read at most, the newest ones; default 100,000. */
  readonly maxMessages?: number;
}

const DEFAULT_MAX_MESSAGES = 100_000;

/** What single changes have left, from the messages that were published of them. For keys that never rest. */
export class PublishedChanges {
  readonly #options: PublishedChangesOptions;

  constructor(options: PublishedChangesOptions) {
    this.#options = options;
  }

  /**
   * The row as the change with this version left it, null when that deleted it; undefined when its message is not among
   * the newest of its partition, or is damaged.
   */
  async readChange(
    layout: TableLayout,
    key: Row,
    version: string,
    signal: AbortSignal,
  ): Promise<Row | null | undefined> {
    const { source, bigint } = this.#options;
    const topic = topicName(source, layout.database, layout.table);
    const keyBytes = Buffer.from(compileKeyEncoder(layout, { bigint })(key));
    const message = await retryBriefly(signal, () => this.#find(topic, keyBytes, version, signal));
    return message === null ? undefined : new MessageRow(message, { layout, source, bigint }).readRow();
  }

  async #find(
    topic: string,
    key: Buffer,
    version: string,
    signal: AbortSignal,
  ): Promise<{ readonly version: string; readonly id: string; readonly value: Buffer | null } | null> {
    const { reader, maxMessages = DEFAULT_MAX_MESSAGES } = this.#options;
    const extent = await reader.findExtent(topic);
    if (extent === null) return null;
    const partition = partitionForKey(key, extent.bounds.length);
    const { start, end } = extent.bounds[partition] ?? { start: 0, end: 0 };
    const bounds = { start: Math.max(start, end - maxMessages), end };
    const pick = (message: TopicMessage): Buffer | true | null => {
      if (message.key === null || !message.key.equals(key) || readHeader(message, 'ditto.version') !== version)
        return null;
      return message.value === null ? true : Buffer.from(message.value);
    };
    for await (const page of reader.searchBackwards(topic, partition, bounds, signal, pick)) {
      const found = page.flatMap((batch) => batch.messages).at(-1);
      if (found !== undefined) return { version, id: '', value: found === true ? null : found };
    }
    return null;
  }
}
