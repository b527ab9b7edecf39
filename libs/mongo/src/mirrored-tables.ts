import { parseCollectionName, type TableName } from '#change-events';
import { mirrorDatabase } from './mirror-tables.ts';
import { type MongoConnection } from './mongo-connection.ts';
import { classifyMongoError } from './mongo-errors.ts';

/** Tables that have a collection in the mirror of a source, whether they still exist or not. */
export async function listMirroredTables({
  connection,
  ...names
}: {
  readonly connection: MongoConnection;
  readonly source: string;
  readonly databasePrefix?: string;
}): Promise<readonly TableName[]> {
  try {
    const collections = await connection.db(mirrorDatabase(names)).listCollections({}, { nameOnly: true }).toArray();
    return collections.map(({ name }) => parseCollectionName(name)).filter((table) => table !== null);
  } catch (error) {
    throw classifyMongoError(error);
  }
}
