import { type RowDataPacket } from 'mysql2';
import { type MySqlSession } from '../mysql-session.ts';

/** The privileges of the user that Ditto connects as, active roles included. */
export interface Grants {
  /** `user@host` as the server matched it, quoted for a GRANT statement. */
  readonly account: string;
  /** True when the server lets the user do `privilege` everywhere. */
  readonly hasGlobal: (privilege: string) => boolean;
  /** By a privilege on the table, or on each of the columns when the user may see those that are not among them. */
  readonly canSelect: (database: string, table: string, columns: readonly string[]) => boolean;
}

interface ScopedGrant {
  readonly privileges: ReadonlySet<string>;
  /** Columns that SELECT is granted on by themselves, in lower case. */
  readonly columns: readonly string[];
  /** null: any. */
  readonly database: RegExp | null;
  readonly table: string | null;
}

export async function readGrants(session: MySqlSession): Promise<Grants> {
  const [user] = await session.query<RowDataPacket & { readonly value: string }>('SELECT CURRENT_USER() AS value');
  const rows = await readGrantRows(session);
  const grants = rows.flatMap((row) => {
    const grant = parseGrant(String(Object.values(row)[0]));
    return grant === null ? [] : [grant];
  });
  const allows = (grant: ScopedGrant, privilege: string): boolean =>
    grant.privileges.has(privilege) || grant.privileges.has('ALL PRIVILEGES');
  return {
    account: quoteAccount(user?.value ?? ''),
    hasGlobal: (privilege) => grants.some((grant) => grant.database === null && allows(grant, privilege)),
    canSelect: (database, table, columns) => {
      const reaching = grants.filter(
        (grant) =>
          (grant.database === null || grant.database.test(database)) && (grant.table === null || grant.table === table),
      );
      if (reaching.some((grant) => allows(grant, 'SELECT'))) return true;
      // the catalogue hides columns that the user has no privilege on; REFERENCES is one that lets nobody read anything
      const granted = new Set(reaching.flatMap((grant) => grant.columns));
      return (
        reaching.some((grant) => allows(grant, 'REFERENCES')) &&
        columns.every((column) => granted.has(column.toLowerCase()))
      );
    },
  };
}

/** With the privileges of the active roles spelled out, where there are any. */
async function readGrantRows(session: MySqlSession): Promise<RowDataPacket[]> {
  // MariaDB shows the grants of the active role by itself
  if (session.kind === 'mariadb') return session.query('SHOW GRANTS');
  const [roles] = await session.query<RowDataPacket & { readonly value: string }>('SELECT CURRENT_ROLE() AS value');
  const active = roles?.value ?? 'NONE';
  return session.query(active === 'NONE' ? 'SHOW GRANTS' : `SHOW GRANTS FOR CURRENT_USER() USING ${active}`);
}

function quoteAccount(account: string): string {
  const at = account.lastIndexOf('@');
  return `'${account.slice(0, at)}'@'${account.slice(at + 1)}'`;
}

/** Null for grants of roles and proxies. Database names in grants are LIKE patterns with backslash escapes. */
export function parseGrant(text: string): ScopedGrant | null {
  const match = /^GRANT (.+?) ON (?:TABLE )?(\*|`(?:[^`]|``)+`)\.(\*|`(?:[^`]|``)+`) TO /.exec(text);
  if (match === null) return null;
  const [, privileges = '', database = '', table = ''] = match;
  const listed = splitPrivileges(privileges);
  return {
    // a privilege on some columns only, as in SELECT (`a`), is not one on the table
    privileges: new Set(listed.map((privilege) => privilege.toUpperCase())),
    columns: listed.flatMap(selectedColumns),
    database: database === '*' ? null : likePattern(unquote(database)),
    table: table === '*' ? null : unquote(table),
  };
}

/** At the commas outside of parentheses and of backquotes, in which column names are. */
function splitPrivileges(text: string): string[] {
  const parts: string[] = [];
  let from = 0;
  let depth = 0;
  let isQuoted = false;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === '`') isQuoted = !isQuoted;
    else if (isQuoted) continue;
    else if (character === '(') depth++;
    else if (character === ')') depth--;
    else if (character === ',' && depth === 0) {
      parts.push(text.slice(from, at).trim());
      from = at + 1;
    }
  }
  return [...parts, text.slice(from).trim()].filter((part) => part !== '');
}

function selectedColumns(privilege: string): string[] {
  const list = /^SELECT \((.*)\)$/s.exec(privilege)?.[1] ?? '';
  return Array.from(list.matchAll(/`(?:[^`]|``)+`|[^,\s`]+/g), ([name]) =>
    (name.startsWith('`') ? unquote(name) : name).toLowerCase(),
  );
}

function unquote(name: string): string {
  return name.slice(1, -1).replaceAll('``', '`');
}

function likePattern(pattern: string): RegExp {
  const source = pattern.replace(
    /\\([%_\\])|([%_])|([^%_\\]+|\\)/g,
    (_, escaped?: string, wildcard?: string, literal?: string) => {
      if (wildcard !== undefined) return wildcard === '%' ? '.*' : '.';
      return (escaped ?? literal ?? '').replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&');
    },
  );
  return new RegExp(`^${source}$`, 's');
}
