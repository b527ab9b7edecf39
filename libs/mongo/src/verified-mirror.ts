import { collectionName, isCanonicalKey, type Row, type TableLayout, type TableName, TextRows } from '#change-events';
import { cutText } from '#kernel';
import {
  type ComparisonCounters,
  type CoveredChanges,
  type ForeignRow,
  type KeyRange,
  type ListedPage,
  type RowsOfChunk,
  type StoredChunk,
  VerifiedSink,
} from '#verification';
import { type mongo } from 'mongoose';
import { decodeId } from './canonical-id.ts';
import { ChunkLookup } from './chunk-lookup.ts';
import { lowerVersion, removeDocument } from './demotion.ts';
import { haveSameOrder, idDocument, storedIdValue } from './id-values.ts';
import { FROM_MAJORITY, PAGE_TIMEOUT_MS } from './index-pages.ts';
import { KeyLookup } from './key-lookup.ts';
import { DocumentEncoder } from './mirror-document.ts';
import {
  fromText,
  type ListedIds,
  listIds,
  listIdsOfOthers,
  listIdsOfRange,
  listSelectedIds,
  toText,
} from './mirror-listing.ts';
import { mirrorDatabase } from './mirror-tables.ts';
import { type MirrorName } from './mirrored-tables.ts';
import { classifyMongoError } from './mongo-errors.ts';
import { RowComparison } from './row-comparison.ts';
import { selectDocuments } from './selected-documents.ts';
import { showField } from './shown-document.ts';
import { fingerprintOf, StoredDocument } from './stored-document.ts';
import { TextComparison } from './text-comparison.ts';
import { awaitMajority } from './write-command.ts';

const SHOWN_CHARACTERS = 200;

interface ComparedTable {
  readonly encoder: DocumentEncoder;
  readonly comparison: RowComparison;
  /** Of rows as texts: the columns of one layout are always read in the same way. */
  texts: TextComparison | null;
}

/**
 * The mirror of one source as verification sees it: what a majority has confirmed after all that the primary had applied.
 * Every method rejects with a coded error while the server does not answer; nothing is held between calls.
 */
export class VerifiedMirror extends VerifiedSink {
  readonly #mirror: MirrorName;
  readonly #listQuarantined: VerifiedSink['listQuarantined'] | undefined;
  readonly #tables = new WeakMap<TableLayout, ComparedTable>();
  readonly #counters: ComparisonCounters = { byBytes: 0, byValue: 0 };

  /** `listQuarantined`: rows that MongoDB has refused; none by default. */
  constructor(mirror: MirrorName, listQuarantined?: VerifiedSink['listQuarantined']) {
    super();
    this.#mirror = mirror;
    this.#listQuarantined = listQuarantined;
  }

  /** Rows that were equal byte for byte, and those that were compared column by column. */
  get comparisons(): Readonly<ComparisonCounters> {
    return { ...this.#counters };
  }

  override async read(
    layout: TableLayout,
    keys: readonly Row[],
    signal: AbortSignal,
  ): Promise<readonly (StoredDocument | null)[]> {
    if (keys.length === 0) return [];
    const documents = this.#collectionOf(layout);
    await awaitMajority(documents.db);
    const { encoder, comparison } = this.#tableOf(layout);
    const found = await new KeyLookup({ documents, layout, encoder, signal }).find(keys);
    return found.map((one) => (one === null ? null : new StoredDocument(one.bytes, comparison, one.isForeign)));
  }

  override seesExtras(layout: TableLayout): boolean {
    return haveSameOrder(layout);
  }

  override async readChunk(
    layout: TableLayout,
    chunk: RowsOfChunk,
    checkpoint: CoveredChanges,
    signal: AbortSignal,
  ): Promise<StoredChunk> {
    const { rows, range } = chunk;
    if (!(rows instanceof TextRows)) return super.readChunk(layout, chunk, checkpoint, signal);
    const documents = this.#collectionOf(layout);
    await awaitMajority(documents.db);
    const table = this.#tableOf(layout);
    table.texts ??= new TextComparison(layout, rows.columns);
    const { encoder, comparison, texts } = table;
    const findByKeys = (keys: readonly Row[]) => new KeyLookup({ documents, layout, encoder, signal }).find(keys);
    const lookup = new ChunkLookup({ documents, layout, comparison: texts, checkpoint, findByKeys, signal });
    const { equal, others, mayHaveExtras } = await lookup.compare({ rows, range });
    this.#counters.byBytes += equal;
    others.sort((a, b) => a.index - b.index);
    return {
      equal,
      others: others.map(({ index }) => index),
      stored: others.map(({ found }) => found && new StoredDocument(found.bytes, comparison, found.isForeign)),
      mayHaveExtras,
    };
  }

  override async *list(
    { layout, selection, part, after, limit }: Parameters<VerifiedSink['list']>[0],
    signal: AbortSignal,
  ): AsyncIterable<ListedPage> {
    const documents = this.#collectionOf(layout);
    await awaitMajority(documents.db);
    const selected = selection && selectDocuments(layout, selection);
    const pages = selected
      ? listSelectedIds(documents, layout, after, limit, selected.filter)
      : listPart(documents, layout, part, after, limit);
    for await (const page of pages) {
      const keys: Row[] = [];
      const foreign: ForeignRow[] = [];
      for (const document of page.documents) {
        const key = decodeKey(layout, document);
        if (key !== null) keys.push(key);
        else foreign.push(...(await this.#readForeign(documents, idDocument(document))));
      }
      yield { keys, foreign, isExact: selected?.isExact ?? true, after: page.after };
      signal.throwIfAborted();
    }
  }

  override listQuarantined(
    ...request: Parameters<VerifiedSink['listQuarantined']>
  ): ReturnType<VerifiedSink['listQuarantined']> {
    return this.#listQuarantined?.(...request) ?? Promise.resolve([]);
  }

  override async demote(
    layout: TableLayout,
    place: { readonly key: Row } | { readonly foreign: string },
    fingerprint: string,
    signal: AbortSignal,
  ): Promise<boolean> {
    const documents = this.#collectionOf(layout);
    await awaitMajority(documents.db);
    const seen =
      'key' in place
        ? ((await this.read(layout, [place.key], signal))[0]?.bytes ?? null)
        : await readById(documents, fromText(place.foreign));
    // what is no key is to be removed: it is gone, after a crash perhaps by this very call
    if (seen === null) return 'foreign' in place;
    if (fingerprintOf(seen) !== fingerprint) return false;
    signal.throwIfAborted();
    return decodeKey(layout, seen) === null ? removeDocument(documents, seen) : lowerVersion(documents, seen);
  }

  /** Nothing when it is gone by now. */
  async #readForeign(documents: mongo.Collection, id: Buffer): Promise<ForeignRow[]> {
    const document = await readById(documents, id);
    if (document === null) return [];
    return [{ id: toText(id), shown: cutText(showField(id), SHOWN_CHARACTERS), fingerprint: fingerprintOf(document) }];
  }

  #collectionOf({ database, table }: TableName): mongo.Collection {
    return this.#mirror.connection.db(mirrorDatabase(this.#mirror)).collection(collectionName(database, table));
  }

  /** Compiling takes as long as comparing a thousand rows. */
  #tableOf(layout: TableLayout): ComparedTable {
    let compared = this.#tables.get(layout);
    if (compared === undefined) {
      compared = {
        encoder: new DocumentEncoder(layout),
        comparison: new RowComparison(layout, this.#counters),
        texts: null,
      };
      this.#tables.set(layout, compared);
    }
    return compared;
  }
}

function listPart(
  documents: mongo.Collection,
  layout: TableLayout,
  part: KeyRange | 'no range' | undefined,
  after: string | null,
  limit: number,
): AsyncGenerator<ListedIds> {
  if (part === undefined) return listIds(documents, layout, after, limit);
  return part === 'no range'
    ? listIdsOfOthers(documents, layout, after, limit)
    : listIdsOfRange(documents, layout, part, after, limit);
}

/** Null for an `_id` that no write of Ditto would meet, and for a value that no row can have. */
function decodeKey(layout: TableLayout, document: Buffer): Row | null {
  const key = decodeId(layout, idDocument(document));
  if (key === null) return null;
  const isKey = layout.key.every((index) => isCanonicalKey(layout.columns[index], key[index] ?? null));
  return isKey ? key : null;
}

async function readById(documents: mongo.Collection, id: Buffer): Promise<Buffer | null> {
  try {
    const [document] = await documents
      .find({ _id: { $eq: storedIdValue(id) } }, { raw: true, maxTimeMS: PAGE_TIMEOUT_MS, ...FROM_MAJORITY })
      .toArray();
    return (document as unknown as Buffer | undefined) ?? null;
  } catch (error) {
    throw classifyMongoError(error);
  }
}
