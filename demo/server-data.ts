import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { readTransitions } from './time-zone-file.ts';

/** Real data that comes with the server: the topics of its help, and the transitions of its time zones. */
export const serverDataTables = ['help_topic', 'time_zone_transition'] as const;
export type ServerDataTable = (typeof serverDataTables)[number];

/** The server's own definitions; its tables lie in a tablespace that CREATE … LIKE may not use. */
const definitions: Readonly<Record<ServerDataTable, string>> = {
  help_topic: `
    help_topic_id INT UNSIGNED NOT NULL PRIMARY KEY,
    name CHAR(64) NOT NULL,
    help_category_id SMALLINT UNSIGNED NOT NULL,
    description TEXT NOT NULL,
    example TEXT NOT NULL,
    url TEXT NOT NULL,
    UNIQUE KEY name (name)`,
  time_zone_transition: `
    Time_zone_id INT UNSIGNED NOT NULL,
    Transition_time BIGINT NOT NULL,
    Transition_type_id INT UNSIGNED NOT NULL,
    PRIMARY KEY (Time_zone_id, Transition_time)`,
};

const ZONE_FOLDER = '/usr/share/zoneinfo';

/** Makes the database with copies of the tables, and returns how many rows each got. */
export async function copyServerData(
  connection: Connection,
  database: string,
): Promise<Readonly<Record<ServerDataTable, number>>> {
  await connection.query(`CREATE DATABASE \`${database}\` CHARACTER SET utf8mb3`);
  for (const table of serverDataTables) {
    await connection.query(`CREATE TABLE \`${database}\`.${table} (${definitions[table]})`);
    await connection.query(`INSERT INTO \`${database}\`.${table} SELECT * FROM mysql.${table}`);
  }
  if ((await count(connection, database, 'time_zone_transition')) === 0) await loadSystemZones(connection, database);
  return {
    help_topic: await count(connection, database, 'help_topic'),
    time_zone_transition: await count(connection, database, 'time_zone_transition'),
  };
}

async function count(connection: Connection, database: string, table: ServerDataTable): Promise<number> {
  const [[row]] = await connection.query<RowDataPacket[]>(`SELECT COUNT(*) AS count FROM \`${database}\`.${table}`);
  return Number(row?.['count']);
}

/** For a server whose time-zone tables were never loaded: the same data from this system's files, as far as it has them. */
async function loadSystemZones(connection: Connection, database: string): Promise<void> {
  if (!existsSync(ZONE_FOLDER)) return;
  let zoneId = 0;
  for (const entry of readdirSync(ZONE_FOLDER, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    if (!entry.isFile() || /\/(posix|right)\//.test(file)) continue;
    const transitions = readTransitions(readFileSync(file));
    if (transitions === null) continue;
    zoneId++;
    const rows = transitions.map(({ at, type }) => `(${zoneId}, ${at}, ${type})`);
    if (rows.length > 0)
      await connection.query(`INSERT INTO \`${database}\`.time_zone_transition VALUES ${rows.join(', ')}`);
  }
}
