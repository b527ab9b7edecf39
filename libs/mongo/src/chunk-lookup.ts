import { rowOfKey, type Row, type TableLayout, type TextRows } from '#change-events';
import { type CoveredChanges, type KeyRange, type RowsOfChunk } from '#verification';
import { type mongo } from 'mongoose';
import { collectYoung } from '#kernel';
import { findFirstEnd } from './bson-reader.ts';
import { LENGTH_BYTES } from './document-parts.ts';
import { idValueOf, keyIdValue, typeOfIds } from './id-values.ts';
import { FROM_MAJORITY, PAGE_TIMEOUT_MS } from './index-pages.ts';
import { type FoundDocument } from './key-lookup.ts';
import { classifyMongoError, isTimeout } from './mongo-errors.ts';
import { type RawBatch, readBatch, readDocuments } from './raw-batch.ts';
import { type TextComparison } from './text-comparison.ts';

/** Keys of one request, and what their rows take: about as much as comes back. What lives for one request only is young when it dies. */
const MOST_KEYS = 500;
/** The same of a request for a range, which names two keys. */
const MOST_KEYS_OF_RANGE = 2000;
const MOST_BYTES = 1024 * 1024;
/** Documents that are read with a range, in addition to twice as many as it has rows; where there are more they are listed in pages. */
const MOST_EXTRAS = 1000;

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
  /** Whether documents that are no tombstones may be stored without a row. */
  readonly mayHaveExtras: boolean;
}

const NONE: ChunkLookupResult = { equal: 0, others: [], mayHaveExtras: false };

/**
 * Looks the documents of a chunk's rows up and compares each as it comes. Only documents that are not equal are kept. Those
 * of a range are asked for by its bounds, in whichever order: to sort them would take the server as long as to read them.
 */
export class ChunkLookup {
  readonly #options: ChunkLookupOptions;

  constructor(options: ChunkLookupOptions) {
    this.#options = options;
  }

  /** Rejects with a coded error. */
  async compare({ rows, range }: { readonly rows: TextRows } & RowsOfChunk): Promise<ChunkLookupResult> {
    let all = NONE;
    let from = 0;
    do {
      const to = findPageEnd(rows, from, range === null ? MOST_KEYS : MOST_KEYS_OF_RANGE);
      // a range without rows is read too
      if (to > from || range !== null) all = join(all, await this.#comparePage({ rows, range, from, to }));
      from = to;
      // all that came of the page is dead by now, but for what is in `others`
      collectYoung();
    } while (from < rows.count);
    return all;
  }

  /** What takes the server too long is asked for in two parts. */
  async #comparePage(page: Page): Promise<ChunkLookupResult> {
    const { rows, range, from, to } = page;
    try {
      return await this.#compareSome(page);
    } catch (error) {
      if (!isTimeout(error)) throw error;
      if (to - from > 1) {
        const middle = Math.ceil((from + to) / 2);
        const first = await this.#comparePage({ ...page, to: middle });
        return join(first, await this.#comparePage({ ...page, from: middle }));
      }
      if (range === null) throw error;
      // there is more beside the row than can be read at once
      const row = await this.#comparePage({ rows, range: null, from, to });
      return { ...row, mayHaveExtras: true };
    }
  }

  async #compareSome(page: Page): Promise<ChunkLookupResult> {
    const { comparison, checkpoint, findByKeys } = this.#options;
    const { rows, from, to } = page;
    const match = new PageMatch(rows, from, to, comparison);
    const isFound = new Uint8Array(to - from);
    const others: OtherRow[] = [];
    let equal = 0;
    let extras = 0;
    const documents = await this.#read(page);
    for (const bytes of readDocuments(documents.batch)) {
      const index = match.find(bytes);
      if (index === -1) extras += comparison.isTombstone(bytes) ? 0 : 1;
      else {
        isFound[index - from] = 1;
        if (comparison.isEqual(rows, index, bytes, checkpoint)) equal++;
        // without what else came with it
        else others.push({ index, found: { bytes: Buffer.from(bytes), isForeign: false } });
      }
    }
    const missing: number[] = [];
    for (let index = from; index < to; index++) if (isFound[index - from] === 0) missing.push(index);
    // an `_id` of another form may be one of theirs, and not all may have been read
    const found = missing.length === 0 ? [] : await findByKeys(missing.map((index) => this.#keyOf(rows, index)));
    for (const [i, index] of missing.entries()) others.push({ index, found: found[i] ?? null });
    return { equal, others, mayHaveExtras: extras > 0 || !documents.isComplete };
  }

  /** By a command, whose reply the driver gives as it came: a cursor makes several objects for each document. */
  async #read(page: Page): Promise<RawBatch> {
    const { documents, signal } = this.#options;
    signal.throwIfAborted();
    const { readPreference, ...concern } = FROM_MAJORITY;
    const command = {
      find: documents.collectionName,
      filter: { _id: this.#idsOf(page) },
      batchSize: 2 * (page.to - page.from) + MOST_EXTRAS,
      maxTimeMS: PAGE_TIMEOUT_MS,
      ...concern,
    };
    try {
      const reply = readBatch(await documents.db.command(command, { raw: true, readPreference }));
      if (!reply.isComplete) this.#endCursor(reply.cursorId);
      return reply;
    } catch (error) {
      throw classifyMongoError(error);
    }
  }

  /** The server ends an idle cursor by itself when it does not hear of this. */
  #endCursor(id: mongo.Long): void {
    const { db, collectionName } = this.#options.documents;
    db.command({ killCursors: collectionName, cursors: [id] }).catch(() => undefined);
  }

  #idsOf({ rows, range, from, to }: Page): mongo.Document {
    const { layout } = this.#options;
    const idAt = (index: number): unknown => idValueOf(layout, (column) => rows.value(index, column));
    if (range === null) return { $in: Array.from({ length: to - from }, (_, i) => idAt(from + i)) };
    const after = from === 0 ? range.after && keyIdValue(layout, range.after) : idAt(from - 1);
    const upTo = to === rows.count ? range.upTo && keyIdValue(layout, range.upTo) : idAt(to - 1);
    return {
      ...(after === null ? { $type: typeOfIds(layout) } : { $gt: after }),
      ...(upTo !== null && { $lte: upTo }),
    };
  }

  #keyOf(rows: TextRows, index: number): Row {
    const { layout } = this.#options;
    return rowOfKey(
      layout,
      layout.key.map((column) => rows.value(index, column)),
    );
  }
}

/** Some rows of a chunk. With a range also what else is between them. */
interface Page {
  readonly rows: TextRows;
  readonly range: KeyRange | null;
  readonly from: number;
  readonly to: number;
}

function join(a: ChunkLookupResult, b: ChunkLookupResult): ChunkLookupResult {
  return {
    equal: a.equal + b.equal,
    others: [...a.others, ...b.others],
    mayHaveExtras: a.mayHaveExtras || b.mayHaveExtras,
  };
}

function findPageEnd(rows: TextRows, from: number, mostKeys: number): number {
  const width = 2 * rows.columns.length;
  let bytes = 0;
  let to = from;
  while (to < rows.count && to - from < mostKeys && bytes < MOST_BYTES) {
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
