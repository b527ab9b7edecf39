import { formatTableName, type TableName } from '#change-events';
import { DittoError } from '#kernel';
import { type ReadScope } from '../ports/requested-read-store.ts';
import { createReadRefusal } from './requested-reads.ts';

/** Keys of one request. */
export const MOST_KEYS = 10_000;
/** What they take as text. */
export const MOST_KEY_BYTES = 1024 * 1024;
/** Characters of a name in MySQL and MariaDB. */
const MOST_NAME_LENGTH = 64;

/** What any process can tell of a request; whether the table is there and has a key is for the owner to find. */
export function assertAcceptable(
  table: TableName,
  scope: ReadScope,
  includes: (database: string, table: string) => boolean,
): void {
  if (scope.kind === 'source') return;
  const problems = [...findTableProblems(table, includes), ...findKeyProblems(table, scope)];
  if (problems.length > 0) throw createReadRefusal(problems.join('; '), problems);
}

function findTableProblems(table: TableName, includes: (database: string, table: string) => boolean): string[] {
  const tooLong = Object.values({ database: table.database, table: table.table }).filter(
    (name) => name.length > MOST_NAME_LENGTH,
  );
  if (tooLong.length > 0)
    return tooLong.map(
      (name) => `the name ${name.slice(0, MOST_NAME_LENGTH)}… has more than ${MOST_NAME_LENGTH} characters`,
    );
  return includes(table.database, table.table) ? [] : [`${formatTableName(table)} is not included`];
}

function findKeyProblems(table: TableName, scope: ReadScope): string[] {
  if (scope.kind !== 'keys') return [];
  const { keys } = scope;
  const name = formatTableName(table).slice(0, 2 * MOST_NAME_LENGTH);
  if (keys.length === 0) return [`no key of ${name} is asked for`];
  const problems: string[] = [];
  if (keys.length > MOST_KEYS)
    problems.push(`${keys.length} keys of ${name} are asked for; at most ${MOST_KEYS} at once`);
  const bytes = keys.reduce((sum, key) => sum + Buffer.byteLength(key), 0);
  if (bytes > MOST_KEY_BYTES)
    problems.push(`the keys of ${name} are ${bytes} bytes; at most ${MOST_KEY_BYTES} at once`);
  return problems;
}

/** The id of a request was used before, for other rows. */
export function createReadIdTaken(id: string): DittoError {
  return new DittoError('DITTO_READ_ID_TAKEN', `a read with the id ${id} was asked for before, of other rows`, {
    remedy: 'Choose another id (a UUID) for each request; send the same one only to repeat a request.',
    context: { id },
  });
}
