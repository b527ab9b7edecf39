import { type CheckFinding, findError, findWarning, silentLogger, toCheckFinding } from '#kernel';
import { type MongoConnection, type MongoConnectionOptions, openMongo } from './mongo-connection.ts';
import { classifyMongoError } from './mongo-errors.ts';

export interface MongoCheckOptions {
  readonly connection: Omit<MongoConnectionOptions, 'logger'>;
  /** Where the mirrors are or will be. */
  readonly databases: readonly string[];
}

interface Privilege {
  readonly resource: { readonly db?: string; readonly collection?: string; readonly anyResource?: boolean };
  readonly actions: readonly string[];
}

interface ConnectionStatus {
  readonly authInfo?: {
    readonly authenticatedUsers?: readonly { readonly user: string; readonly db: string }[];
    readonly authenticatedUserPrivileges?: readonly Privilege[];
  };
}

const NEEDED = [
  'find',
  'insert',
  'update',
  'remove',
  'listCollections',
  'createCollection',
  'listIndexes',
  'createIndex',
] as const;

/** Everything that is wrong with a MongoDB for the mirror; reads only. */
export async function checkMongo({ connection, databases }: MongoCheckOptions): Promise<readonly CheckFinding[]> {
  let mongo: MongoConnection | null = null;
  try {
    mongo = await openMongo({ ...connection, waitForServer: false, maxConnections: 2, logger: silentLogger });
    await mongo.ping();
    // what only those may do who have logged in
    await mongo
      .db(databases[0] ?? 'admin')
      .listCollections({}, { nameOnly: true })
      .toArray();
    return [...(await checkTopology(mongo)), ...(await checkPrivileges(mongo, databases))];
  } catch (error) {
    return [toCheckFinding(classifyMongoError(error))];
  } finally {
    await mongo?.close();
  }
}

async function checkTopology(mongo: MongoConnection): Promise<readonly CheckFinding[]> {
  const hello = await mongo.db('admin').command({ hello: 1 });
  if (typeof hello['setName'] === 'string' || hello['msg'] === 'isdbgrid') return [];
  return [
    findWarning(
      'DITTO_MONGO_NOT_REPLICATED',
      'the server is not part of a replica set: what it confirms is on one disk',
      'Use a replica set of three members.',
    ),
  ];
}

/** What a server reports of the user's rights; one that checks none, or reports nothing, passes. */
async function checkPrivileges(mongo: MongoConnection, databases: readonly string[]): Promise<readonly CheckFinding[]> {
  const status = (await mongo.db('admin').command({ connectionStatus: 1, showPrivileges: true })) as ConnectionStatus;
  const { authenticatedUsers: users = [], authenticatedUserPrivileges: privileges = [] } = status.authInfo ?? {};
  const [user] = users;
  if (user === undefined || privileges.length === 0) return [];
  return databases.flatMap((database) => {
    const covering = privileges.filter(({ resource }) => covers(resource, database));
    const missing = NEEDED.filter((action) => !covering.some(({ actions }) => actions.includes(action)));
    if (missing.length === 0) return [];
    const grant = `db.getSiblingDB('${user.db}').grantRolesToUser('${user.user}', [{ role: 'readWrite', db: '${database}' }])`;
    return [findError('DITTO_MONGO_ACCESS_DENIED', `${user.user} may not ${missing.join(', ')} in ${database}`, grant)];
  });
}

/** Whether the resource is the whole database (https://www.mongodb.com/docs/manual/reference/resource-document/). */
function covers({ db, collection, anyResource }: Privilege['resource'], database: string): boolean {
  return anyResource === true || ((db === '' || db === database) && collection === '');
}
