import { createConnection } from 'mysql2/promise';
import { StateDatabase, type StateDatabaseOptions } from '#state';
import { testStack, uniqueName } from '#testing';

/** Options for a database that nobody else uses; it is not there yet. */
export async function createStateOptions(): Promise<StateDatabaseOptions> {
  const { host, port, user, password } = (await testStack()).endpoint('mysql-state');
  return { host, port, user: user ?? 'root', password: password ?? '', database: uniqueName('state') };
}

export async function openStateDatabase(): Promise<StateDatabase> {
  const database = new StateDatabase(await createStateOptions());
  await database.open(AbortSignal.timeout(20_000));
  return database;
}

/** By a connection of the test's own. */
export async function queryState(options: StateDatabaseOptions, sql: string): Promise<Record<string, unknown>[]> {
  const { host, port, user, password = '' } = options;
  const connection = await createConnection({ host, port, user, password });
  try {
    const [rows] = await connection.query(sql);
    return rows as Record<string, unknown>[];
  } finally {
    await connection.end();
  }
}
