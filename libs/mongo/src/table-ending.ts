import { type TableChange } from '#change-events';
import { DittoError } from '#kernel';
import { mongo } from 'mongoose';
import { BsonType, type BsonWriter, makeLabel } from './bson-writer.ts';
import { IndexPages, PAGE_TIMEOUT_MS } from './index-pages.ts';
import { LIVE_VERSIONS, TOMBSTONE_VERSIONS, versionNumber } from './mirror-indexes.ts';
import { tombstoneFields } from './mirror-document.ts';
import { type StoredRecord, writeIdFilter } from './stored-record.ts';
import { awaitMajority, runStatement } from './write-command.ts';

/** Ids of 3,072 bytes, the most that MySQL has in a key, fit one statement so often. */
const PAGE_DOCUMENTS = 2000;
const LENGTH_BYTES = 4;

export interface TableEndingOptions {
  readonly db: mongo.Db;
  readonly collection: string;
  readonly change: TableChange;
  readonly version: string;
  readonly deletedAtMs: number;
  readonly writeConcern: mongo.WriteConcernSettings;
}

/** One look at all documents that are older. */
interface Pass {
  readonly pages: readonly IndexPages[];
  found: number;
  turned: number;
}

/**
 * Turns every document with an older version into a tombstone of this one, page by page.
 *
 * An answer that is lost, or a majority that does not confirm in time, leaves open what was written. So it ends only with
 * a pass that finds nothing, read from what a majority has confirmed after all that the primary had applied.
 */
export class TableEnding {
  readonly #options: TableEndingOptions;
  readonly #update: Uint8Array;
  #pass: Pass | null = null;

  constructor(options: TableEndingOptions) {
    this.#options = options;
    const { change, version, deletedAtMs } = options;
    this.#update = encodeUpdate(tombstoneFields(change, version, deletedAtMs));
  }

  /** Rejects with a coded error; called again it continues where it was. */
  async run(): Promise<void> {
    for (;;) {
      const pass = (this.#pass ??= await this.#begin());
      for (const pages of pass.pages) await this.#end(pages, pass);
      this.#pass = null;
      if (pass.found === 0) return;
      if (pass.turned === 0) throw unconfirmed(this.#options.collection);
    }
  }

  async #begin(): Promise<Pass> {
    const { db, collection, version } = this.#options;
    await awaitMajority(db);
    const documents = db.collection(collection);
    const range = { documents, from: 0n, below: versionNumber(version), limit: PAGE_DOCUMENTS };
    const pages = [LIVE_VERSIONS, TOMBSTONE_VERSIONS].map((index) => new IndexPages({ ...range, index }));
    return { pages, found: 0, turned: 0 };
  }

  async #end(pages: IndexPages, pass: Pass): Promise<void> {
    for (let page = await pages.next(); page !== null; page = await pages.next()) {
      pass.found += page.length;
      try {
        pass.turned += await this.#turn(page);
      } catch (error) {
        pages.again(error);
        throw error;
      }
    }
  }

  async #turn(page: readonly StoredRecord[]): Promise<number> {
    const { db, collection, version, writeConcern } = this.#options;
    const command = { update: collection, maxTimeMS: PAGE_TIMEOUT_MS };
    const writeStatement = (writer: BsonWriter): void => {
      const query = writer.beginIn(QUERY);
      writeIdFilter(writer, page);
      const guard = writer.beginIn(VERSION);
      writer.string(BELOW, version);
      writer.end(guard);
      writer.end(query);
      writer.raw(this.#update);
      writer.boolean(MULTI, true);
    };
    const { nModified = 0 } = await runStatement(db, command, writeStatement, writeConcern);
    return nModified;
  }
}

const QUERY = makeLabel(BsonType.document, 'q');
const VERSION = makeLabel(BsonType.document, 'v');
const BELOW = makeLabel(BsonType.string, '$lt');
const MULTI = makeLabel(BsonType.boolean, 'multi');

/** The element `u` of a statement: the document is replaced, but for its `_id`. */
function encodeUpdate(fields: object): Uint8Array {
  const literals = Object.entries(fields).map(([name, $literal]: [string, unknown]) => [name, { $literal }] as const);
  const document = mongo.BSON.serialize({ u: [{ $replaceWith: { _id: '$_id', ...Object.fromEntries(literals) } }] });
  return document.subarray(LENGTH_BYTES, -1);
}

function unconfirmed(collection: string): DittoError {
  return new DittoError(
    'DITTO_MONGO_UNAVAILABLE',
    `a majority has not confirmed yet that the rows of ${collection} ended`,
    {
      retriable: true,
    },
  );
}
