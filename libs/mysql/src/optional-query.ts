import { type RowDataPacket } from 'mysql2';
import { type MySqlSession, type QueryValue } from './mysql-session.ts';

/** A query whose statement this version may not know, or that this user may not run: null then. */
export async function tryQuery(
  session: MySqlSession,
  statements: readonly string[],
  values: readonly QueryValue[] = [],
): Promise<RowDataPacket[] | null> {
  for (const statement of statements) {
    try {
      return await session.query(statement, values);
    } catch (error) {
      if (!session.isUsable) throw error;
    }
  }
  return null;
}
