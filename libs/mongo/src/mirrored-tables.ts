import { parseCollectionName, type TableName } from '#change-events';
import { type mongo } from 'mongoose';
import { mirrorDatabase } from './mirror-tables.ts';
import { type MongoConnection } from './mongo-connection.ts';
import { classifyMongoError } from './mongo-errors.ts';
import { type Patience, tryPatiently } from './patience.ts';

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
export async function listMirroredTables(
  { connection, ...names }: MirrorName,
  patience?: Patience,
): Promise<readonly TableName[]> {
  const db = connection.db(mirrorDatabase(names));
  const collections = await tryPatiently(() => listCollections(db), patience);
  return collections.map(parseCollectionName).filter((table) => table !== null);
}
