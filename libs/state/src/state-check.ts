import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { type CheckFinding, findError, findWarning, toCheckFinding } from '#kernel';
import { toDriverOptions } from './state-connection.ts';
import { readCode, toStateError } from './state-error.ts';
import { type StateDatabaseOptions } from './state-database.ts';

export interface StateCheck {
  readonly findings: readonly CheckFinding[];
  /** Of the server; null when it could not be asked. */
  readonly serverUuid: string | null;
}

/** What migrations and services do to the tables. */
const NEEDED = ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'CREATE', 'ALTER', 'INDEX'] as const;

/** Everything that is wrong with the state database; reads only, creates nothing. */
export async function checkStateDatabase(options: StateDatabaseOptions): Promise<StateCheck> {
  let connection: Connection | null = null;
  try {
    connection = await connect(options);
    const [rows] = await connection.query<(RowDataPacket & { uuid: string; readOnly: number; gone: number })[]>(
      `SELECT @@GLOBAL.server_uuid AS uuid, @@GLOBAL.read_only AS readOnly,
              (SELECT COUNT(*) = 0 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?) AS gone`,
      [options.database],
    );
    const [facts] = rows;
    const missing = await listMissing(connection, options.database);
    return { serverUuid: facts?.uuid ?? null, findings: describe(options, missing, facts) };
  } catch (error) {
    return { serverUuid: null, findings: [toCheckFinding(toStateError(error))] };
  } finally {
    connection?.destroy();
  }
}

/** Without a database where the configured one is not there: an account with rights on just that one may do this too. */
async function connect(options: StateDatabaseOptions): Promise<Connection> {
  const server = toDriverOptions(options);
  try {
    return await createConnection({ ...server, database: options.database });
  } catch (error) {
    if (readCode(error) !== 'ER_BAD_DB_ERROR') throw error;
    return createConnection(server);
  }
}

function describe(
  { database, user }: StateDatabaseOptions,
  missing: readonly string[],
  facts: { readonly readOnly: number; readonly gone: number } | undefined,
): readonly CheckFinding[] {
  const findings: CheckFinding[] = [];
  if (missing.length > 0)
    findings.push(
      findError(
        'DITTO_STATE_GRANT_MISSING',
        `${user} lacks ${missing.join(', ')} on ${database}`,
        `GRANT ${missing.join(', ')} ON \`${database}\`.* TO '${user}'@'…';`,
      ),
    );
  if (facts?.readOnly === 1)
    findings.push(findError('DITTO_STATE_READ_ONLY', 'the server is read-only', 'Give the address of the primary.'));
  if (facts?.gone === 1)
    findings.push(
      findWarning(
        'DITTO_STATE_NOT_CREATED',
        `the database ${database} does not exist`,
        'The first service that starts creates it.',
      ),
    );
  return findings;
}

async function listMissing(connection: Connection, database: string): Promise<readonly string[]> {
  const [[role]] = await connection.query<(RowDataPacket & { value: string })[]>('SELECT CURRENT_ROLE() AS value');
  const active = role?.value ?? 'NONE';
  const [rows] = await connection.query<RowDataPacket[]>(
    active === 'NONE' ? 'SHOW GRANTS' : `SHOW GRANTS FOR CURRENT_USER() USING ${active}`,
  );
  const granted = new Set(rows.flatMap((row) => readPrivileges(String(Object.values(row)[0]), database)));
  return granted.has('ALL PRIVILEGES') ? [] : NEEDED.filter((privilege) => !granted.has(privilege));
}

/** Those that a line of SHOW GRANTS gives on the whole database; its names are LIKE patterns with backslash escapes. */
function readPrivileges(grant: string, database: string): readonly string[] {
  const [, privileges = '', on = ''] = /^GRANT (.+?) ON (\*|`(?:[^`]|``)+`)\.\* TO /.exec(grant) ?? [];
  const pattern = on === '*' ? '%' : on.slice(1, -1).replaceAll('``', '`');
  const source = pattern.replace(
    /\\([%_\\])|([%_])|([^%_\\]+|\\)/g,
    (_, escaped?: string, wild?: string, plain?: string) =>
      wild === undefined
        ? (escaped ?? plain ?? '').replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&')
        : wild === '%'
          ? '.*'
          : '.',
  );
  return new RegExp(`^${source}$`, 's').test(database) ? privileges.split(', ').map((name) => name.toUpperCase()) : [];
}
