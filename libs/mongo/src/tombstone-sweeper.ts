import { type Logger } from '#kernel';
import { type mongo } from 'mongoose';
import { pageByIds, type StoredDocument } from './mirror-collection.ts';
import { mirrorDatabase } from './mirror-tables.ts';
import { type MongoConnection } from './mongo-connection.ts';
import { classifyMongoError } from './mongo-errors.ts';

export interface SweepRequest {
  readonly source: string;
  /** Only tombstones made at least so long ago, by this process's clock. */
  readonly olderThanMs: number;
  /** Only tombstones with a version below this one: the checkpoint's. '' removes nothing. */
  readonly belowVersion: string;
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
 * Removes tombstones that no repeated change can need any more: a change below the checkpoint is not delivered again.
 * Safe beside writers: each delete repeats the conditions, so a row that came back, or a newer tombstone, stays.
 */
export class TombstoneSweeper {
  private readonly options: TombstoneSweeperOptions;

  constructor(options: TombstoneSweeperOptions) {
    this.options = options;
  }

  /** Rejects with a coded error; what was removed by then stays removed, and another sweep goes on. */
  async sweep(request: SweepRequest): Promise<SweepResult> {
    const { connection, databasePrefix = '', nowMs = Date.now, logger } = this.options;
    const { source, olderThanMs, belowVersion, signal } = request;
    if (belowVersion === '') return { collections: 0, removed: 0 };
    const db = connection.db(mirrorDatabase({ source, databasePrefix }));
    const expired: mongo.Filter<StoredDocument> = {
      deletedAt: { $lt: new Date(nowMs() - olderThanMs) },
      v: { $lt: belowVersion },
    };
    let collections = 0;
    let removed = 0;
    try {
      for (const name of await mirrorCollections(db)) {
        signal?.throwIfAborted();
        removed += await this.sweepCollection(db, name, expired, signal);
        collections++;
      }
    } catch (error) {
      if (signal?.aborted === true) throw error;
      throw classifyMongoError(error);
    }
    if (removed > 0) logger.info('swept tombstones', { source, collections, removed });
    return { collections, removed };
  }

  private async sweepCollection(
    db: mongo.Db,
    name: string,
    expired: mongo.Filter<StoredDocument>,
    signal: AbortSignal | undefined,
  ): Promise<number> {
    const { writeConcern: w = 'majority' } = this.options;
    const documents = db.collection<StoredDocument>(name);
    let removed = 0;
    for await (const page of pageByIds(documents, expired, 1000)) {
      signal?.throwIfAborted();
      const { deletedCount } = await documents.deleteMany(page, { writeConcern: { w } });
      removed += deletedCount;
    }
    return removed;
  }
}

/** Collections of tables: `<database>.<table>`; Ditto's own have no dot. */
async function mirrorCollections(db: mongo.Db): Promise<string[]> {
  const collections = await db.listCollections({}, { nameOnly: true }).toArray();
  return collections.map(({ name }) => name).filter((name) => name.includes('.') && !name.startsWith('system.'));
}
