import { rowOfKey, type Row, type TableLayout, type TextRows } from '#change-events';
import { type CoveredChanges } from '#verification';
import { type mongo } from 'mongoose';
import { findFirstEnd } from './bson-reader.ts';
import { LENGTH_BYTES } from './document-parts.ts';
import { idValueOf } from './id-values.ts';
import { FROM_MAJORITY, PAGE_TIMEOUT_MS } from './index-pages.ts';
import { type FoundDocument } from './key-lookup.ts';
import { classifyMongoError, isTimeout } from './mongo-errors.ts';
import { type TextComparison } from './text-comparison.ts';

/** Keys of one request, and what their rows take: about as much as comes back. What lives for one request only is young when it dies. */
const MOST_KEYS = 500;
const MOST_BYTES = 1024 * 1024;

export interface ChunkLookupOptions {
  readonly documents: mongo.Collection;
  readonly layout: TableLayout;
  readonly comparison: TextComparison;
  readonly checkpoint: CoveredChanges;
  /** Looks documents up whose `_id` has another form than that of the key. */
  readonly findByKeys: (keys: readonly Row[]) => Promise<readonly (FoundDocument | null)[]>;
  readonly signal: AbortSignal;
}

/** A row that is not equal byte for byte, with its document. */
export interface OtherRow {
  readonly index: number;
  readonly found: FoundDocument | null;
}

export interface ChunkLookupResult {
  readonly equal: number;
  /** In no order. */
  readonly others: OtherRow[];
}

/**
 * Looks the documents of a chunk's rows up and compares each as it comes. Only documents that are not equal are kept.
 */
export class ChunkLookup {
  readonly #options: ChunkLookupOptions;

  constructor(options: ChunkLookupOptions) {
    this.#options = options;
  }

  /** Rejects with a coded error. */
  async compare(rows: TextRows): Promise<ChunkLookupResult> {
    let equal = 0;
    const others: OtherRow[] = [];
    for (let from = 0; from < rows.count;) {
      const to = findPageEnd(rows, from);
      const page = await this.#comparePage(rows, from, to);
      equal += page.equal;
      others.push(...page.others);
      from = to;
    }
    return { equal, others };
  }

  /** What takes the server too long is asked for in two parts. */
  async #comparePage(rows: TextRows, from: number, to: number): Promise<ChunkLookupResult> {
    try {
      return await this.#compareSome(rows, from, to);
    } catch (error) {
      if (!isTimeout(error) || to - from === 1) throw error;
      const middle = Math.ceil((from + to) / 2);
      const first = await this.#comparePage(rows, from, middle);
      const second = await this.#comparePage(rows, middle, to);
      return { equal: first.equal + second.equal, others: [...first.others, ...second.others] };
    }
  }

  async #compareSome(rows: TextRows, from: number, to: number): Promise<ChunkLookupResult> {
    const { comparison, checkpoint, findByKeys } = this.#options;
    const match = new PageMatch(rows, from, to, comparison);
    const isFound = new Uint8Array(to - from);
    const others: OtherRow[] = [];
    let equal = 0;
    let unmatched = 0;
    await this.#read(rows, from, to, (bytes) => {
      const index = match.find(bytes);
      if (index === -1) unmatched++;
      else {
        isFound[index - from] = 1;
        if (comparison.isEqual(rows, index, bytes, checkpoint)) equal++;
        // without what else came with it
        else others.push({ index, found: { bytes: Buffer.from(bytes), isForeign: false } });
      }
    });
    const missing: number[] = [];
    for (let index = from; index < to; index++) if (isFound[index - from] === 0) missing.push(index);
    // an `_id` of another form may be one of theirs
    const found = unmatched === 0 ? [] : await findByKeys(missing.map((index) => this.#keyOf(rows, index)));
    for (const [i, index] of missing.entries()) others.push({ index, found: found[i] ?? null });
    return { equal, others };
  }

  async #read(rows: TextRows, from: number, to: number, take: (document: Buffer) => void): Promise<void> {
    const { documents, layout, signal } = this.#options;
    const ids: unknown[] = [];
    for (let index = from; index < to; index++) ids.push(idValueOf(layout, (column) => rows.value(index, column)));
    signal.throwIfAborted();
    try {
      const cursor = documents.find({ _id: { $in: ids } } as mongo.Document, {
        ...{ raw: true, maxTimeMS: PAGE_TIMEOUT_MS, ...FROM_MAJORITY },
        // one more, so that the server says at once that there are no more
        batchSize: to - from + 1,
      });
      while (await cursor.hasNext())
        for (const document of cursor.readBufferedDocuments() as unknown as Buffer[]) take(document);
    } catch (error) {
      throw classifyMongoError(error);
    }
  }

  #keyOf(rows: TextRows, index: number): Row {
    const { layout } = this.#options;
    return rowOfKey(
      layout,
      layout.key.map((column) => rows.value(index, column)),
    );
  }
}

function findPageEnd(rows: TextRows, from: number): number {
  const width = 2 * rows.columns.length;
  let bytes = 0;
  let to = from;
  while (to < rows.count && to - from < MOST_KEYS && bytes < MOST_BYTES) {
    const first = rows.places[to * width] as number;
    const last = rows.places[(to + 1) * width - 1] as number;
    // values that are NULL have no place
    bytes += first === -1 || last === -1 ? measureRow(rows, to) : last - first;
    to++;
  }
  return to;
}

function measureRow({ columns, places }: TextRows, index: number): number {
  let bytes = 0;
  for (let at = 2 * index * columns.length; at < 2 * (index + 1) * columns.length; at += 2)
    bytes += (places[at + 1] as number) - (places[at] as number);
  return bytes;
}

/** Which row a document belongs to. Documents mostly come in the order of the keys. */
class PageMatch {
  readonly #rows: TextRows;
  readonly #from: number;
  readonly #to: number;
  readonly #comparison: TextComparison;
  #next: number;
  #byId: Map<string, number> | null = null;

  constructor(rows: TextRows, from: number, to: number, comparison: TextComparison) {
    this.#rows = rows;
    this.#from = from;
    this.#to = to;
    this.#comparison = comparison;
    this.#next = from;
  }

  /** -1 for none. */
  find(document: Buffer): number {
    let index = this.#next;
    if (index >= this.#to || !this.#comparison.hasKey(this.#rows, index, document)) {
      this.#byId ??= this.#readIds();
      index = this.#byId.get(document.toString('latin1', LENGTH_BYTES, findFirstEnd(document))) ?? -1;
    }
    if (index !== -1) this.#next = index + 1;
    return index;
  }

  #readIds(): Map<string, number> {
    const byId = new Map<string, number>();
    for (let index = this.#from; index < this.#to; index++) byId.set(this.#comparison.idText(this.#rows, index), index);
    return byId;
  }
}
