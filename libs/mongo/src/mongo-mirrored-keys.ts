import { collectionName, type Row, type TableLayout, type TableName, versionPrefix } from '#change-events';
import { type Logger } from '#kernel';
import { MirroredKeys } from '#replication';
import { mongo } from 'mongoose';
import { decodeId } from './canonical-id.ts';
import { FROM_MAJORITY, IndexPages, PAGE_TIMEOUT_MS } from './index-pages.ts';
import { LIVE_VERSIONS, type MirrorIndex, readByIndex, TOMBSTONE_VERSIONS, versionNumber } from './mirror-indexes.ts';
import { mirrorDatabase } from './mirror-tables.ts';
import { type MongoConnection } from './mongo-connection.ts';
import { isTimeout } from './mongo-errors.ts';
import { type StoredRecord } from './stored-record.ts';
import { awaitMajority } from './write-command.ts';

export interface MongoMirroredKeysOptions {
  readonly connection: MongoConnection;
  readonly source: string;
  readonly databasePrefix?: string;
  readonly logger: Logger;
}

/** Time-outs in a row after which a caller gets the error: a page is smaller after each. */
const MOST_TIMEOUTS = 16;

/** Reads by the indexes on `v`, what a majority has confirmed after all that the primary had applied. */
export class MongoMirroredKeys extends MirroredKeys {
  private readonly options: MongoMirroredKeysOptions;

  constructor(options: MongoMirroredKeysOptions) {
    super();
    this.options = options;
  }

  override async newestVersion(table: TableName, lineage: number): Promise<string> {
    const below = versionNumber(versionPrefix(lineage + 1, '', 0));
    const documents = this.collectionOf(table);
    await awaitMajority(documents.db);
    const newest = await findNewest(documents, LIVE_VERSIONS, below);
    const newestTombstone = await findNewest(documents, TOMBSTONE_VERSIONS, below);
    return newest > newestTombstone ? newest : newestTombstone;
  }

  override async *list({
    layout,
    below,
    tombstonesAbove,
    limit,
  }: Parameters<MirroredKeys['list']>[0]): AsyncIterable<readonly Row[]> {
    const documents = this.collectionOf(layout);
    await awaitMajority(documents.db);
    const range = { documents, below: versionNumber(below), limit };
    yield* this.read(layout, new IndexPages({ ...range, index: LIVE_VERSIONS, from: 0n }));
    if (tombstonesAbove === null) return;
    const from = versionNumber(tombstonesAbove) + 1n;
    yield* this.read(layout, new IndexPages({ ...range, index: TOMBSTONE_VERSIONS, from }));
  }

  private async *read(layout: TableLayout, pages: IndexPages): AsyncGenerator<readonly Row[]> {
    for (let page = await nextPage(pages); page !== null; page = await nextPage(pages)) {
      const rows = page.map((record) => this.decode(layout, record)).filter((row) => row !== null);
      if (rows.length > 0) yield rows;
    }
  }

  private collectionOf({ database, table }: TableName): mongo.Collection {
    return this.options.connection.db(mirrorDatabase(this.options)).collection(collectionName(database, table));
  }

  private decode(layout: TableLayout, { bytes }: StoredRecord): Row | null {
    const row = decodeId(layout, bytes);
    if (row === null)
      this.options.logger.warn(
        'a document of the mirror has an _id that is no key of its table, and is left as it is',
        {
          database: layout.database,
          table: layout.table,
          id: JSON.stringify(mongo.BSON.deserialize(bytes)['_id']).slice(0, 200),
        },
      );
    return row;
  }
}

async function nextPage(pages: IndexPages): Promise<readonly StoredRecord[] | null> {
  for (let timeouts = 1; ; timeouts++)
    try {
      return await pages.next();
    } catch (error) {
      if (!isTimeout(error) || timeouts === MOST_TIMEOUTS) throw error;
    }
}

/**
 * The highest version below `below` in the index; '' when there is none. MongoDB goes to it at once. FerretDB sorts the
 * range: one that takes too long is halved, the upper half first.
 */
async function findNewest(documents: mongo.Collection, index: MirrorIndex, below: bigint): Promise<string> {
  let high = below;
  for (let low = 0n; ;)
    try {
      const filter = { ...index.covers, v: { $gte: index.toKey(low), $lt: index.toKey(high) } };
      const options = {
        projection: { _id: 0, v: 1 },
        sort: { v: -1 },
        hint: index.name,
        maxTimeMS: PAGE_TIMEOUT_MS,
      } as const;
      const newest = await readByIndex(documents, () =>
        documents.findOne<{ readonly v: string }>(filter, { ...options, ...FROM_MAJORITY }),
      );
      if (newest !== null || low === 0n) return newest?.v ?? '';
      high = low;
      low = 0n;
    } catch (error) {
      if (!isTimeout(error) || high - low < 2n) throw error;
      low += (high - low) / 2n;
    }
}
