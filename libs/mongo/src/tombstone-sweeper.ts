import { coversChange, type GtidSet } from '#change-events';
import { type Logger } from '#kernel';
import { type mongo } from 'mongoose';
import { BsonType, type BsonWriter, makeLabel } from './bson-writer.ts';
import { IndexPages, nextPage } from './index-pages.ts';
import { TOMBSTONE_AGES } from './mirror-indexes.ts';
import { mirrorDatabase } from './mirror-tables.ts';
import { listCollections } from './mirrored-tables.ts';
import { type MongoConnection } from './mongo-connection.ts';
import { type StoredRecord, writeIdFilter } from './stored-record.ts';
import { runStatement, WRITE_CONCERN_TIMEOUT_MS } from './write-command.ts';

const PAGE_DOCUMENTS = 1000;

export interface SweepRequest {
  readonly source: string;
  /** Only tombstones made at least so long ago, by this process's clock. */
  readonly olderThanMs: number;
  /** Only tombstones with a version below this one: the checkpoint's. '' removes nothing. */
  readonly belowVersion: string;
  /** What that checkpoint covers. Of an older lineage only tombstones of these transactions are removed. */
  readonly covered: GtidSet;
  readonly signal?: AbortSignal;
}

export interface SweepResult {
  readonly collections: number;
  readonly removed: number;
}

export interface TombstoneSweeperOptions {
  readonly connection: MongoConnection;
  readonly databasePrefix?: string;
  /** Default `majority`. */
  readonly writeConcern?: 'majority' | number;
  readonly logger: Logger;
  readonly nowMs?: () => number;
}

/**
 * Removes tombstones that no repeated change can need any more: a change that the checkpoint covers is not delivered again.
 * Safe beside writers: each delete repeats the conditions, so a row that came back, or a newer tombstone, stays.
 */
export class TombstoneSweeper {
  readonly #options: TombstoneSweeperOptions;

  constructor(options: TombstoneSweeperOptions) {
    this.#options = options;
  }

  /** Rejects with a coded error; what was already removed stays removed, and another sweep continues. */
  async sweep(request: SweepRequest): Promise<SweepResult> {
    const { connection, databasePrefix = '', nowMs = Date.now, logger } = this.#options;
    const { source, olderThanMs, belowVersion } = request;
    if (belowVersion === '') return { collections: 0, removed: 0 };
    const db = connection.db(mirrorDatabase({ source, databasePrefix }));
    const before = nowMs() - olderThanMs;
    let removed = 0;
    const collections = await listCollections(db);
    for (const name of collections) removed += await this.#sweepCollection(db, name, before, request);
    if (removed > 0) logger.info('swept tombstones', { source, collections: collections.length, removed });
    return { collections: collections.length, removed };
  }

  async #sweepCollection(
    db: mongo.Db,
    name: string,
    beforeMs: number,
    { belowVersion, covered, signal }: SweepRequest,
  ): Promise<number> {
    const { writeConcern: w = 'majority' } = this.#options;
    const pages = new IndexPages({
      documents: db.collection(name),
      index: TOMBSTONE_AGES,
      from: 0n,
      below: BigInt(beforeMs),
      where: { v: { $lt: belowVersion } },
      fields: ['v', 'gtid'],
      limit: PAGE_DOCUMENTS,
    });
    let removed = 0;
    for (;;) {
      signal?.throwIfAborted();
      const page = await nextPage(pages);
      if (page === null) return removed;
      const old = page.filter((record) => coversChange({ version: belowVersion, covered }, record));
      if (old.length === 0) continue;
      const writeStatement = (writer: BsonWriter): void => writeDelete(writer, old, belowVersion, beforeMs);
      const writeConcern = { w, wtimeout: WRITE_CONCERN_TIMEOUT_MS };
      removed += (await runStatement(db, { delete: name }, writeStatement, writeConcern)).n ?? 0;
    }
  }
}

const QUERY = makeLabel(BsonType.document, 'q');
const LIMIT = makeLabel(BsonType.int32, 'limit');
const VERSION = makeLabel(BsonType.document, 'v');
const DELETED_AT = makeLabel(BsonType.document, 'deletedAt');
const BELOW_VERSION = makeLabel(BsonType.string, '$lt');
const BEFORE = makeLabel(BsonType.date, '$lt');

function writeDelete(writer: BsonWriter, page: readonly StoredRecord[], belowVersion: string, beforeMs: number): void {
  const query = writer.beginIn(QUERY);
  writeIdFilter(writer, page);
  const version = writer.beginIn(VERSION);
  writer.string(BELOW_VERSION, belowVersion);
  writer.end(version);
  const deletedAt = writer.beginIn(DELETED_AT);
  writer.date(BEFORE, beforeMs);
  writer.end(deletedAt);
  writer.end(query);
  writer.int32(LIMIT, 0);
}
