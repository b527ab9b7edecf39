import { collectionName, parseCollectionName, type TableName } from '#change-events';
import { mirrorDatabase } from './mirror-tables.ts';
import { type MongoConnection } from './mongo-connection.ts';
import { classifyMongoError } from './mongo-errors.ts';

/** A source's mirror. */
export interface MirrorName {
  readonly connection: MongoConnection;
  readonly source: string;
  readonly databasePrefix?: string;
}

/** Tables that have a collection in the mirror of a source, whether they still exist or not. */
export async function listMirroredTables({ connection, ...names }: MirrorName): Promise<readonly TableName[]> {
  try {
    const collections = await connection.db(mirrorDatabase(names)).listCollections({}, { nameOnly: true }).toArray();
    return collections.map(({ name }) => parseCollectionName(name)).filter((table) => table !== null);
  } catch (error) {
    throw classifyMongoError(error);
  }
}

/** Whether the mirror holds rows of the table, tombstones aside. */
export async function hasMirroredRows(
  { connection, ...names }: MirrorName,
  { database, table }: TableName,
): Promise<boolean> {
  try {
    const documents = connection.db(mirrorDatabase(names)).collection(collectionName(database, table));
    return (await documents.findOne({ deletedAt: { $exists: false } }, { projection: { _id: 1 } })) !== null;
  } catch (error) {
    throw classifyMongoError(error);
  }
}
