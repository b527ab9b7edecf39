import { hash } from 'node:crypto';

import {
  keyValues,
  mayBelong,
  needsWholeRow,
  partitionForKey,
  type ReadRows,
  type Row,
  rowOfKey,
  type RowSelection,
  type TableLayout,
  topicName,
} from '#change-events';
import { collectYoung, cutText } from '#kernel';
import {
  type ComparisonCounters,
  type CoveredChanges,
  EndedRow,
  type ForeignRow,
  isAtRest,
  type ListedPage,
  MessageRow,
  type MessageTable,
  type RowsOfChunk,
  type StoredChunk,
  type StoredTexts,
  VerifiedSink,
} from '#verification';

import { readMessageTexts } from '../texts/message-text.ts';
import { type FoldStore } from './fold-store.ts';
import { MessageKeys } from './message-keys.ts';
import { type TopicFolds } from './topic-folds.ts';

export interface KafkaVerifiedSinkOptions {
  readonly folds: TopicFolds;
  /** The source's name: first part of every topic. */
  readonly source: string;
  /** As the source's messages have it. */
  readonly bigint: MessageTable['bigint'];
  /** Rows that Kafka has refused; none by default. */
  readonly listQuarantined?: VerifiedSink['listQuarantined'];
  /** `FoldUse` */
  readonly mayEvict?: boolean;
}

const SHOWN_LENGTH = 200;
/** Rows of a chunk that are compared without a pause: some milliseconds. */
const ROWS_AT_ONCE = 500;

interface ComparedChunk {
  equal: number;
  readonly others: number[];
  readonly stored: (MessageRow | EndedRow | null)[];
}

/**
 * The topics of a source as verification asks for them: the newest message of each key, of all that the brokers have
 * confirmed when it is asked. Methods reject with a `notVerifiable` for a topic that can't be folded.
 */
export class KafkaVerifiedSink extends VerifiedSink {
  readonly #options: KafkaVerifiedSinkOptions;
  readonly #keys: MessageKeys;
  readonly #counters: ComparisonCounters = { byBytes: 0, byValue: 0 };

  constructor(options: KafkaVerifiedSinkOptions) {
    super();
    this.#options = options;
    this.#keys = new MessageKeys(options.bigint);
  }

  /** Rows that were equal byte for byte, and those that were compared column by column. */
  get comparisons(): Readonly<ComparisonCounters> {
    return { ...this.#counters };
  }

  override read(
    layout: TableLayout,
    keys: readonly Row[],
    signal: AbortSignal,
  ): Promise<readonly (MessageRow | EndedRow | null)[]> {
    const table = this.#tableOf(layout);
    const { folds, mayEvict = true } = this.#options;
    return folds.use(
      this.#topicOf(layout),
      signal,
      (store, partitions) =>
        keys.map((key) => (store === null ? null : findRow(store, this.#keys.encode(layout, key), partitions, table))),
      { mayEvict },
    );
  }

  /** In parts: what is made of an equal message is dead when its part ends, and others have their turn between two. */
  override async readChunk(
    layout: TableLayout,
    { rows }: RowsOfChunk,
    checkpoint: CoveredChanges,
    signal: AbortSignal,
  ): Promise<StoredChunk> {
    const { folds, mayEvict = true } = this.#options;
    const topic = this.#topicOf(layout);
    const chunk: ComparedChunk = { equal: 0, others: [], stored: [] };
    for (let from = 0; from < rows.count; from += ROWS_AT_ONCE) {
      const part = { rows, from, to: Math.min(from + ROWS_AT_ONCE, rows.count) };
      const compare = (store: FoldStore | null, partitions: number): void =>
        this.#compare(layout, part, { store, partitions, checkpoint }, chunk);
      await folds.use(topic, signal, compare, { mayEvict });
      collectYoung();
    }
    this.#counters.byBytes += chunk.equal;
    return { ...chunk, mayHaveExtras: true };
  }

  /** Of what `read` has given for the key: its texts as a plain consumer reads them. */
  readTexts(layout: TableLayout, stored: MessageRow | EndedRow, key: Row): StoredTexts | null {
    if (stored instanceof EndedRow) return null;
    const message = { key: this.#keys.encode(layout, key), value: stored.value };
    return readMessageTexts({ layout, bigint: this.#options.bigint }, message);
  }

  override async *list(
    request: Parameters<VerifiedSink['list']>[0],
    signal: AbortSignal,
  ): AsyncGenerator<ListedPage, void> {
    const { layout, selection, limit } = request;
    const { folds, mayEvict = true } = this.#options;
    const topic = this.#topicOf(layout);
    for (let after: string | null = request.after; ;) {
      const from: Buffer | null = after === null ? null : Buffer.from(after, 'base64url');
      const look = (store: FoldStore | null) =>
        store === null ? null : this.#readPage(store, { layout, selection, from, limit });
      const page = await folds.use(topic, signal, look, { mayEvict });
      if (page === null) return;
      // what is no key of the table belongs to no selection
      yield { ...page, ...(selection && { foreign: [] }), isExact: selection === undefined };
      after = page.after;
    }
  }

  override listQuarantined(
    ...request: Parameters<VerifiedSink['listQuarantined']>
  ): ReturnType<VerifiedSink['listQuarantined']> {
    return this.#options.listQuarantined?.(...request) ?? Promise.resolve([]);
  }

  /** A message can't be changed or taken back; a newer one is published of its row. */
  override demote(): Promise<null> {
    return Promise.resolve(null);
  }

  #compare(
    layout: TableLayout,
    { rows, from, to }: { readonly rows: ReadRows; readonly from: number; readonly to: number },
    at: { readonly store: FoldStore | null; readonly partitions: number; readonly checkpoint: CoveredChanges },
    chunk: ComparedChunk,
  ): void {
    const { store, partitions, checkpoint } = at;
    const table = this.#tableOf(layout);
    for (let index = from; index < to; index++) {
      const row = rows.row(index);
      const key = this.#keys.encode(layout, rowOfKey(layout, keyValues(layout, row)));
      const stored = store === null ? null : findRow(store, key, partitions, table);
      if (stored instanceof MessageRow && stored.hasBytesOf(row) && isAtRest(stored, checkpoint)) chunk.equal++;
      else {
        chunk.others.push(index);
        chunk.stored.push(stored);
      }
    }
  }

  /** Null at the end. A topic has no order: all of it is read, and what surely is not of the selection is left out. */
  #readPage(
    store: FoldStore,
    {
      layout,
      selection,
      from,
      limit,
    }: {
      readonly layout: TableLayout;
      readonly selection: RowSelection | undefined;
      readonly from: Buffer | null;
      readonly limit: number;
    },
  ): Omit<ListedPage, 'isExact'> | null {
    const found = store.list(from, limit);
    const last = found.at(-1);
    if (last === undefined) return null;
    const keys: Row[] = [];
    const foreign: ForeignRow[] = [];
    for (const bytes of found) {
      const key = this.#keys.decode(layout, bytes);
      if (key === null) foreign.push(describeForeign(store, bytes));
      else if (selection === undefined || this.#mayBelong(store, layout, selection, bytes, key)) keys.push(key);
    }
    return { keys, foreign, after: last.toString('base64url') };
  }

  #mayBelong(store: FoldStore, layout: TableLayout, selection: RowSelection, bytes: Buffer, key: Row): boolean {
    if (!mayBelong(layout, selection, key, false)) return false;
    if (!needsWholeRow(layout, selection)) return true;
    const message = store.find(bytes);
    const row = message && new MessageRow(message, this.#tableOf(layout)).readRow();
    return row == null || mayBelong(layout, selection, row, true);
  }

  #topicOf({ database, table }: TableLayout): string {
    return topicName(this.#options.source, database, table);
  }

  #tableOf(layout: TableLayout): MessageTable {
    const { source, bigint } = this.#options;
    return { layout, source, bigint, counters: this.#counters };
  }
}

/** A key that ended with all rows of its table is known by the newest message that did so in its partition. */
function findRow(store: FoldStore, key: Buffer, partitions: number, table: MessageTable): MessageRow | EndedRow | null {
  const message = store.find(key);
  if (message !== null) return new MessageRow(message, table);
  const end = store.partitions[partitionForKey(key, partitions)]?.end ?? null;
  return end === null ? null : new EndedRow(end.version, end.gtid);
}

function describeForeign(store: FoldStore, key: Buffer): ForeignRow {
  const message = store.find(key);
  const value = message?.value ?? null;
  return {
    id: key.toString('base64url'),
    shown: cutText(key.toString(), SHOWN_LENGTH),
    fingerprint: `${message?.version ?? ''}/${value === null ? 'tombstone' : hash('sha256', value)}`,
  };
}
