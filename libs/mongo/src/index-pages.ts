import { type mongo } from 'mongoose';
import { type MirrorIndex, readByIndex } from './mirror-indexes.ts';
import { isTimeout } from './mongo-errors.ts';
import { readRecord, type StoredRecord } from './stored-record.ts';

/** What the server may take for one page; less than a connection may be silent. */
export const PAGE_TIMEOUT_MS = 8000;
/**
 * A range that took too long is read in 256 parts, and where there is nothing the next part is 256 times as long: there is
 * a version for every byte of a log, an empty range costs a millisecond, and a time-out seconds.
 */
const PART_BITS = 8n;

/** How the mirror is read: what a majority has confirmed, from the primary. */
export const FROM_MAJORITY = { readConcern: { level: 'majority' }, readPreference: 'primary' } as const;

export interface IndexPagesOptions {
  readonly documents: mongo.Collection;
  readonly index: MirrorIndex;
  /** The first key, and the one after the last, as numbers. */
  readonly from: bigint;
  readonly below: bigint;
  readonly limit: number;
  /** More that a document must fulfil. */
  readonly where?: mongo.Document;
  readonly fields?: readonly string[];
}

/**
 * The documents of an index in its order, in pages that each take a short time, however many there are. A call that
 * rejects may be made again and continues where it was; after a time-out the page is smaller, in documents and in the
 * range of keys: a server that sorts what the index gives (FerretDB) needs the second. Documents that change during
 * that may be given or not.
 */
export class IndexPages {
  readonly #options: IndexPagesOptions;
  #from: bigint;
  /** Length of the range that is asked for. */
  #span: bigint;
  /** End and length of the range that took too long last; up to there it is read in parts. */
  #tooFar = 0n;
  #tooLong: bigint;
  #limit: number;
  /** Documents of the key at which the last page ended: the next one begins there again. */
  #seen = new Set<string>();
  #before: { readonly from: bigint; readonly seen: Set<string> };

  constructor(options: IndexPagesOptions) {
    this.#options = options;
    this.#from = options.from;
    this.#limit = options.limit;
    this.#span = options.below - options.from;
    this.#tooLong = this.#span * 2n;
    this.#before = { from: this.#from, seen: this.#seen };
  }

  /** At least one document; null at the end. Rejects with a coded error. */
  async next(): Promise<readonly StoredRecord[] | null> {
    while (this.#from < this.#options.below) {
      const to = this.#chooseEnd();
      const records = await this.#read(to);
      this.#before = { from: this.#from, seen: this.#seen };
      const fresh = records.filter((record) => !this.#seen.has(identify(record)));
      this.#advance(records, to, fresh.length < records.length);
      if (fresh.length > 0) return fresh;
    }
    return null;
  }

  /** The last page is given again, without what is no longer in its range; smaller, if it was too large. */
  again(cause: unknown): void {
    ({ from: this.#from, seen: this.#seen } = this.#before);
    if (isTimeout(cause)) this.#limit = Math.max(1, Math.floor(this.#limit / 4));
  }

  /** The key where the next page begins; documents of it may have been given already. */
  get position(): bigint {
    return this.#from;
  }

  /** What has this key or a lower one is left out from here on. */
  passBy(key: bigint): void {
    if (key < this.#from) return;
    this.#from = key + 1n;
    this.#seen = new Set();
  }

  async #read(to: bigint): Promise<StoredRecord[]> {
    const { documents, index, where, fields = [] } = this.#options;
    const { name, field, covers, toKey } = index;
    const filter = { ...where, ...covers, [field]: { $gte: toKey(this.#from), $lt: toKey(to) } };
    const projection = Object.fromEntries(['_id', field, ...fields].map((each) => [each, 1]));
    try {
      const found = await readByIndex(documents, () =>
        documents
          .find(filter, {
            projection,
            sort: { [field]: 1 },
            hint: name,
            limit: this.#limit,
            batchSize: this.#limit,
            maxTimeMS: PAGE_TIMEOUT_MS,
            raw: true,
            ...FROM_MAJORITY,
          })
          .toArray(),
      );
      return found.map((bytes) => readRecord(bytes as unknown as Uint8Array));
    } catch (error) {
      if (isTimeout(error)) this.#shrink(to);
      throw error;
    }
  }

  #chooseEnd(): bigint {
    const from = this.#from;
    const span = this.#span;
    const tooFar = this.#tooFar;
    const tooLong = this.#tooLong;
    const most = from < tooFar ? smallest(span, tooLong >> PART_BITS) : span;
    return smallest(from + largest(most, 1n), this.#options.below);
  }

  #shrink(to: bigint): void {
    this.#tooFar = to;
    this.#tooLong = to - this.#from;
    this.#span = this.#tooLong >> PART_BITS;
    this.#limit = Math.max(1, Math.floor(this.#limit / 4));
  }

  #advance(records: readonly StoredRecord[], to: bigint, repeats: boolean): void {
    const last = records.at(-1);
    if (last === undefined) {
      this.#from = to;
      this.#seen = new Set();
      this.#span = largest(this.#span, 1n) << PART_BITS;
      return;
    }
    if (records.length < this.#limit) {
      this.#from = to;
      this.#seen = new Set();
      // few documents: they are further apart than where it took too long
      if (records.length * 4 < this.#limit && this.#span * 2n >= this.#tooLong) this.#tooLong *= 2n;
      this.#span = smallest(this.#span * 2n, largest(this.#tooLong >> 1n, this.#span));
      this.#limit = Math.min(this.#limit * 2, this.#options.limit);
      return;
    }
    // never back: an array of versions has no key of its own
    const at = largest(this.#keyOf(last), this.#from);
    const isStuck = repeats && at === this.#from;
    this.#limit = isStuck ? this.#limit * 2 : Math.min(this.#limit * 2, this.#options.limit);
    this.#from = at;
    this.#seen = new Set(records.filter((record) => this.#keyOf(record) <= at).map(identify));
  }

  #keyOf({ version, deletedAtMs }: StoredRecord): bigint {
    const { field, toNumber } = this.#options.index;
    return toNumber((field === 'v' ? version : new Date(deletedAtMs ?? 0)) as never);
  }
}

/** Time-outs in a row after which a caller gets the error. */
const MOST_TIMEOUTS = 16;

/** The next page; one that takes too long is asked for again, smaller. Rejects with a coded error. */
export async function nextPage(pages: IndexPages): Promise<readonly StoredRecord[] | null> {
  for (let timeouts = 1; ; timeouts++)
    try {
      return await pages.next();
    } catch (error) {
      if (!isTimeout(error) || timeouts === MOST_TIMEOUTS) throw error;
    }
}

function smallest(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function largest(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function identify({ idType, id }: StoredRecord): string {
  return `${idType}${Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('latin1')}`;
}
