import { type Row, type TableLayout } from '#change-events';
import { type mongo } from 'mongoose';
import { findFirstEnd } from './bson-reader.ts';
import { BsonWriter } from './bson-writer.ts';
import { decodeId } from './canonical-id.ts';
import { idDocument, idValue } from './id-values.ts';
import { FROM_MAJORITY, PAGE_TIMEOUT_MS } from './index-pages.ts';
import { type DocumentEncoder, type KeyIdentity } from './mirror-document.ts';
import { classifyMongoError, isTimeout } from './mongo-errors.ts';

const MOST_KEYS = 1000;
const LENGTH_BYTES = 4;

export interface FoundDocument {
  readonly bytes: Buffer;
  /** To the server its `_id` is the one that was asked for; it is not of the form of a key. */
  readonly isForeign: boolean;
}

/** Looks documents of one table up by their keys. */
export class KeyLookup {
  readonly #documents: mongo.Collection;
  readonly #layout: TableLayout;
  readonly #encoder: DocumentEncoder;
  readonly #signal: AbortSignal;
  readonly #writer = new BsonWriter(1024);

  constructor(options: {
    readonly documents: mongo.Collection;
    readonly layout: TableLayout;
    readonly encoder: DocumentEncoder;
    readonly signal: AbortSignal;
  }) {
    this.#documents = options.documents;
    this.#layout = options.layout;
    this.#encoder = options.encoder;
    this.#signal = options.signal;
  }

  /** In the order of `keys`. Rejects with a coded error. */
  async find(keys: readonly Row[]): Promise<(FoundDocument | null)[]> {
    const found: (FoundDocument | null)[] = [];
    for (let at = 0; at < keys.length; at += MOST_KEYS)
      found.push(...(await this.#findSome(keys.slice(at, at + MOST_KEYS))));
    return found;
  }

  /** What takes the server too long is asked for in two parts. */
  async #findSome(keys: readonly Row[]): Promise<(FoundDocument | null)[]> {
    let documents: readonly Buffer[];
    try {
      documents = await this.#read({ _id: { $in: keys.map((key) => idValue(this.#layout, key)) } });
    } catch (error) {
      if (!isTimeout(error) || keys.length === 1) throw error;
      const middle = Math.ceil(keys.length / 2);
      return [...(await this.#findSome(keys.slice(0, middle))), ...(await this.#findSome(keys.slice(middle)))];
    }
    return this.#assign(keys, documents);
  }

  async #assign(keys: readonly Row[], documents: readonly Buffer[]): Promise<(FoundDocument | null)[]> {
    const byId = new Map<string, Buffer>();
    for (const bytes of documents) byId.set(idText(bytes), bytes);
    let matched = 0;
    const found = keys.map((key): FoundDocument | null => {
      const bytes = byId.get(this.#textOf(key));
      if (bytes === undefined) return null;
      matched++;
      return { bytes, isForeign: false };
    });
    return matched < documents.length ? this.#assignOthers(keys, documents, found) : found;
  }

  /** An integer or a decimal may be stored in the type that its column had before. */
  async #assignOthers(
    keys: readonly Row[],
    documents: readonly Buffer[],
    found: (FoundDocument | null)[],
  ): Promise<(FoundDocument | null)[]> {
    const byIdentity = new Map<KeyIdentity, Buffer>();
    for (const bytes of documents) {
      const key = decodeId(this.#layout, idDocument(bytes));
      if (key !== null) byIdentity.set(this.#encoder.identity(key), bytes);
    }
    for (const [i, key] of keys.entries()) {
      if (found[i] !== null) continue;
      const bytes = byIdentity.get(this.#encoder.identity(key));
      if (bytes !== undefined) found[i] = { bytes, isForeign: false };
    }
    // only the server knows which key the rest is to it
    if (byIdentity.size === documents.length) return found;
    for (const [i, key] of keys.entries()) {
      if (found[i] !== null) continue;
      const [bytes] = await this.#read({ _id: { $eq: idValue(this.#layout, key) } });
      if (bytes === undefined) continue;
      found[i] = { bytes, isForeign: decodeId(this.#layout, idDocument(bytes)) === null };
    }
    return found;
  }

  async #read(filter: mongo.Document): Promise<readonly Buffer[]> {
    this.#signal.throwIfAborted();
    try {
      const found = this.#documents.find(filter, { raw: true, maxTimeMS: PAGE_TIMEOUT_MS, ...FROM_MAJORITY });
      return (await found.toArray()) as unknown as Buffer[];
    } catch (error) {
      throw classifyMongoError(error);
    }
  }

  /** The element `_id` byte for byte. */
  #textOf(key: Row): string {
    this.#writer.at = 0;
    this.#encoder.id(this.#writer, key);
    return this.#writer.bytes.toString('latin1', 0, this.#writer.at);
  }
}

function idText(document: Buffer): string {
  return document.toString('latin1', LENGTH_BYTES, findFirstEnd(document));
}
