import { collectionName, parseCollectionName, type TableName } from '#change-events';
import { type mongo } from 'mongoose';
import { FROM_MAJORITY, PAGE_TIMEOUT_MS } from './index-pages.ts';
import { LIVE_VERSIONS, readByIndex } from './mirror-indexes.ts';
import { mirrorDatabase } from './mirror-tables.ts';
import { type MongoConnection } from './mongo-connection.ts';
import { classifyMongoError } from './mongo-errors.ts';
import { awaitMajority } from './write-command.ts';

/** A source's mirror. */
export interface MirrorName {
  readonly connection: MongoConnection;
  readonly source: string;
  readonly databasePrefix?: string;
}

/** Collections of tables, by the primary: `<database>.<table>`; Ditto's own have no dot. Rejects with a coded error. */
export async function listCollections(db: mongo.Db): Promise<readonly string[]> {
  try {
    const collections = await db.listCollections({}, { nameOnly: true, readPreference: 'primary' }).toArray();
    return collections.map(({ name }) => name).filter((name) => name.includes('.') && !name.startsWith('system.'));
  } catch (error) {
    throw classifyMongoError(error);
  }
}

/** Tables that have a collection in the mirror of a source, whether they still exist or not. */
export async function listMirroredTables({ connection, ...names }: MirrorName): Promise<readonly TableName[]> {
  const collections = await listCollections(connection.db(mirrorDatabase(names)));
  return collections.map(parseCollectionName).filter((table) => table !== null);
}

/** Whether the mirror holds rows of the table, tombstones aside: of all that the primary had applied before. */
export async function hasMirroredRows(
  { connection, ...names }: MirrorName,
  { database, table }: TableName,
): Promise<boolean> {
  const db = connection.db(mirrorDatabase(names));
  await awaitMajority(db);
  const documents = db.collection(collectionName(database, table));
  const { name, covers } = LIVE_VERSIONS;
  const options = { projection: { _id: 1 }, hint: name, maxTimeMS: PAGE_TIMEOUT_MS, ...FROM_MAJORITY };
  return (await readByIndex(documents, () => documents.findOne(covers, options))) !== null;
}
