import { formatTableName, type TableName } from '#change-events';
import { type ReadScope } from '../ports/requested-read-store.ts';
import { createReadRefusal } from './requested-reads.ts';

/** Keys of one request. */
export const MOST_KEYS = 10_000;
/** What they take as text. */
export const MOST_KEY_BYTES = 1024 * 1024;

/** What any process can tell of a request; whether the table is there and has a key is for the owner to find. */
export function assertAcceptable(
  table: TableName,
  scope: ReadScope,
  includes: (database: string, table: string) => boolean,
): void {
  const name = formatTableName(table);
  if (!includes(table.database, table.table)) throw createReadRefusal(`${name} is not included`);
  if (scope.kind === 'table') return;
  const { keys } = scope;
  if (keys.length === 0) throw createReadRefusal(`no key of ${name} is asked for`);
  if (keys.length > MOST_KEYS)
    throw createReadRefusal(`${keys.length} keys of ${name} are asked for; at most ${MOST_KEYS} at once`);
  const bytes = keys.reduce((sum, key) => sum + Buffer.byteLength(key), 0);
  if (bytes > MOST_KEY_BYTES)
    throw createReadRefusal(`the keys of ${name} are ${bytes} bytes; at most ${MOST_KEY_BYTES} at once`);
}
