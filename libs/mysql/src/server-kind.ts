import { DittoError } from '#kernel';

/** Whose SQL, GTIDs and log a server speaks. */
export type ServerKind = 'mysql' | 'mariadb';

/** By `VERSION()`: `10.11.18-MariaDB-…`, `9.7.4-…`. */
export function serverKindOf(version: string): ServerKind {
  return /mariadb/i.test(version) ? 'mariadb' : 'mysql';
}

/** The remedy in the words of MariaDB, which keeps no setting over a restart. */
export function remedyFor(kind: ServerKind, remedy: string): string {
  if (kind === 'mysql' || !remedy.includes('SET PERSIST')) return remedy;
  return `${remedy.replaceAll('SET PERSIST', 'SET GLOBAL')} (and the same in the server’s configuration file)`;
}

/** The same error with the remedy that suits the server. */
export function withRemedyFor(kind: ServerKind, error: Error): Error {
  if (!(error instanceof DittoError) || error.remedy === null || remedyFor(kind, error.remedy) === error.remedy)
    return error;
  return new DittoError(error.code, error.message, {
    retriable: error.retriable,
    remedy: remedyFor(kind, error.remedy),
    context: error.context,
    cause: error.cause,
  });
}
