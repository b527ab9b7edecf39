import { collectionName, type Row, type TableLayout, type TableName, versionPrefix } from '#change-events';
import { type Logger } from '#kernel';
import { MirroredKeys } from '#replication';
import { type mongo } from 'mongoose';
import { decodeId } from './canonical-id.ts';
import { type StoredDocument } from './mirror-collection.ts';
import { mirrorDatabase } from './mirror-tables.ts';
import { type MongoConnection } from './mongo-connection.ts';
import { classifyMongoError } from './mongo-errors.ts';

export interface MongoMirroredKeysOptions {
  readonly connection: MongoConnection;
  readonly source: string;
  readonly databasePrefix?: string;
  readonly logger: Logger;
}

const FROM_MAJORITY = { readConcern: { level: 'majority' }, readPreference: 'primary' } as const;

/** Reads the whole collection, of each document `_id` and version: there is no index by version. */
export class MongoMirroredKeys extends MirroredKeys {
  private readonly options: MongoMirroredKeysOptions;

  constructor(options: MongoMirroredKeysOptions) {
    super();
    this.options = options;
  }

  override async newestVersion(table: TableName, lineage: number): Promise<string> {
    const [newest] = await coded(
      this.collectionOf(table)
        .find(
          { v: { $lt: versionPrefix(lineage + 1, '', 0) } },
          { projection: { v: 1 }, sort: { v: -1 }, limit: 1, ...FROM_MAJORITY },
        )
        .toArray(),
    );
    return newest?.v ?? '';
  }

  override async *list({
    layout,
    below,
    tombstonesAbove,
    limit,
  }: Parameters<MirroredKeys['list']>[0]): AsyncIterable<readonly Row[]> {
    const cursor = this.collectionOf(layout).find(listFilter(below, tombstonesAbove), {
      projection: { _id: 1 },
      batchSize: limit,
      ...FROM_MAJORITY,
      promoteValues: false,
      promoteLongs: false,
      promoteBuffers: false,
    });
    try {
      let rows: Row[] = [];
      for await (const { _id } of withCodes(cursor)) {
        const row = this.decode(layout, _id);
        if (row !== null) rows.push(row);
        if (rows.length < limit) continue;
        yield rows;
        rows = [];
      }
      if (rows.length > 0) yield rows;
    } finally {
      await cursor.close().catch(() => undefined);
    }
  }

  private collectionOf({ database, table }: TableName): mongo.Collection<StoredDocument> {
    return this.options.connection.db(mirrorDatabase(this.options)).collection(collectionName(database, table));
  }

  private decode(layout: TableLayout, id: unknown): Row | null {
    const row = decodeId(layout, id);
    if (row === null)
      this.options.logger.warn(
        'a document of the mirror has an _id that is no key of its table, and is left as it is',
        {
          database: layout.database,
          table: layout.table,
          id: JSON.stringify(id).slice(0, 200),
        },
      );
    return row;
  }
}

function listFilter(below: string, tombstonesAbove: string | null): mongo.Filter<StoredDocument> {
  const live = { v: { $lt: below }, deletedAt: { $exists: false } };
  if (tombstonesAbove === null) return live;
  return { $or: [live, { v: { $gt: tombstonesAbove, $lt: below }, deletedAt: { $exists: true } }] };
}

async function coded<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw classifyMongoError(error);
  }
}

async function* withCodes(cursor: mongo.FindCursor<StoredDocument>): AsyncGenerator<StoredDocument> {
  try {
    yield* cursor;
  } catch (error) {
    throw classifyMongoError(error);
  }
}
