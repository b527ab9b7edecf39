import { type RowDataPacket } from 'mysql2';
import { toDittoError } from '#kernel';
import { LAYOUT_CHANGED } from './errors/error-class.ts';
import { type MySqlSession, type QueryValue } from './mysql-session.ts';

/** A query whose statement this version may not know, or that this user may not run: null then. Rejects when it may succeed later. */
export async function tryQuery(
  session: MySqlSession,
  statements: readonly string[],
  values: readonly QueryValue[] = [],
): Promise<RowDataPacket[] | null> {
  for (const statement of statements) {
    try {
      return await session.query(statement, values);
    } catch (error) {
      if (!session.isUsable || mayPass(error)) throw error;
    }
  }
  return null;
}

/** What this version does not have, such as a table of the catalogue, it will not have later. */
function mayPass(error: unknown): boolean {
  const { code, retriable } = toDittoError(error);
  return retriable && code !== LAYOUT_CHANGED.code;
}
