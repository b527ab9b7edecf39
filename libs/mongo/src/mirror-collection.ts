import { type TableChange } from '#change-events';
import { type mongo } from 'mongoose';
import { tombstoneFields } from './mirror-document.ts';
import { classifyMongoError, isNamespaceExists } from './mongo-errors.ts';

/** What pages need to know of a document. */
export interface StoredDocument {
  readonly _id: unknown;
  readonly v: string;
}

const PAGE = 5000;
const TOMBSTONE_INDEX = 'tombstones';

/**
 * Creates the collection and, over its tombstones only, an index by their age; on live documents the index costs
 * nothing. Repeatable. Rejects with a coded error.
 */
export async function prepareCollection(db: mongo.Db, collection: string): Promise<void> {
  try {
    await db.createCollection(collection).catch((error: unknown) => {
      if (!isNamespaceExists(error)) throw error;
    });
    await db
      .collection(collection)
      .createIndex(
        { deletedAt: 1 },
        { name: TOMBSTONE_INDEX, partialFilterExpression: { deletedAt: { $exists: true } } },
        undefined,
      );
  } catch (error) {
    throw classifyMongoError(error);
  }
}

/**
 * Turns every document with an older version into a tombstone of this one. In pages, so that no single call takes
 * longer than a socket may be silent; documents that have been turned match no more, so it is repeatable at any point.
 * Rejects with a coded error.
 */
export async function turnIntoTombstones(
  db: mongo.Db,
  collection: string,
  {
    change,
    version,
    deletedAtMs,
    writeConcern,
  }: {
    readonly change: TableChange;
    readonly version: string;
    readonly deletedAtMs: number;
    readonly writeConcern: mongo.WriteConcernSettings;
  },
): Promise<number> {
  const { v, gtid, deletedAt } = tombstoneFields(change, version, deletedAtMs);
  const tombstone = [
    { $replaceWith: { _id: '$_id', v: { $literal: v }, gtid: { $literal: gtid }, deletedAt: { $literal: deletedAt } } },
  ];
  const documents = db.collection<StoredDocument>(collection);
  let turned = 0;
  try {
    for await (const page of pageByIds(documents, { v: { $lt: version } }, PAGE)) {
      const result = await documents.updateMany(page, tombstone, { writeConcern });
      turned += result.modifiedCount;
    }
    return turned;
  } catch (error) {
    throw classifyMongoError(error);
  }
}

/**
 * What matches, cut into pages by `_id`: each is the same filter narrowed to some documents. The BSON types of `_id` stay
 * as they are stored.
 */
export async function* pageByIds(
  documents: mongo.Collection<StoredDocument>,
  filter: mongo.Filter<StoredDocument>,
  pageSize: number,
): AsyncGenerator<mongo.Filter<StoredDocument>> {
  const narrow = (ids: readonly unknown[]) => ({ ...filter, _id: { $in: ids } }) as mongo.Filter<StoredDocument>;
  const asStored = { promoteValues: false, promoteLongs: false, promoteBuffers: false };
  const cursor = documents.find(filter, { projection: { _id: 1 }, batchSize: pageSize, ...asStored });
  try {
    let ids: unknown[] = [];
    for await (const { _id } of cursor) {
      ids.push(_id);
      if (ids.length < pageSize) continue;
      yield narrow(ids);
      ids = [];
    }
    if (ids.length > 0) yield narrow(ids);
  } finally {
    await cursor.close();
  }
}
