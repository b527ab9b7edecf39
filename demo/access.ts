import { randomBytes } from 'node:crypto';
import { type Connection, createConnection } from 'mysql2/promise';

export interface Login {
  readonly user: string;
  readonly password: string;
}

/** Runs `work` on a connection of its own. */
export async function withMySql<T>(url: string, work: (connection: Connection) => Promise<T>): Promise<T> {
  const connection = await createConnection({ uri: url, charset: 'utf8mb4' });
  try {
    return await work(connection);
  } finally {
    connection.destroy();
  }
}

/** A user with the least that a source asks for. */
export function createReader(connection: Connection, user: string, databases: readonly string[]): Promise<Login> {
  const grants = databases.map((database) => `SELECT ON \`${database}\`.*`);
  return createUser(connection, user, ['REPLICATION SLAVE, REPLICATION CLIENT ON *.*', ...grants]);
}

/** The state database and the user who owns it. */
export async function createState(
  connection: Connection,
  user: string,
  database: string,
): Promise<Login & { database: string }> {
  await connection.query(`CREATE DATABASE \`${database}\` CHARACTER SET utf8mb4`);
  return { ...(await createUser(connection, user, [`ALL ON \`${database}\`.*`])), database };
}

async function createUser(connection: Connection, user: string, grants: readonly string[]): Promise<Login> {
  const password = randomBytes(12).toString('hex');
  await connection.query(`CREATE USER '${user}'@'%' IDENTIFIED BY '${password}'`);
  for (const grant of grants) await connection.query(`GRANT ${grant} TO '${user}'@'%'`);
  return { user, password };
}
