import { readAlterTable } from './alter-table.ts';
import { DEFAULT_SQL_MODE, type SqlToken, tokenizeSql } from './sql-tokens.ts';
import { type ParsedName, TokenCursor } from './token-cursor.ts';

export type StatementKind =
  | 'truncate' // ends all rows of its tables, which stay
  | 'drop' // ends its tables
  | 'rename' // gives its tables the names `to`, one after the other
  | 'neutral' // leaves every value of every row alone, or changes rows by row events only; with 'alter' the key may change
  | 'reread' // may change values without row events; rows keep their keys, unless a column of `keyChanges` is in it
  | 'restart' // rows may come, go or change their keys without row events
  | 'data' // changes rows as a statement; has no place in a log in row format
  | 'xa' // part of an XA transaction
  | 'unparsed'; // anything else; may do whatever 'reread' may

/** What a statement may reach: one table, or a database as a whole. */
export interface StatementScope {
  /** The statement's default database where it names none; '' when there is none. */
  readonly database: string;
  /** Null: any table of the database. */
  readonly table: string | null;
}

/** One table that a statement names. */
export interface NamedTable extends ParsedName {
  /** rename: the new name. */
  readonly to?: ParsedName;
}

export type StatementTable = NamedTable | (StatementScope & { readonly table: null; readonly to?: undefined });

/** What a statement does to definitions of tables and databases; other objects (views, users…) have none here. */
export type Definition = 'create' | 'alter' | 'drop';

export interface Statement {
  readonly kind: StatementKind;
  /** Tables of the statement in its order; empty where no table's rows or definition are concerned. */
  readonly tables: readonly StatementTable[];
  readonly definition?: Definition;
  /**
   * CREATE TABLE: the table has no row before it, and all that come are in the log. `if new`: unless it was there already
   * (IF NOT EXISTS). Absent when that is not certain.
   */
  readonly startsEmpty?: 'yes' | 'if new';
  /** reread: columns that change their name or type or go. */
  readonly keyChanges?: readonly string[];
  /** reread: every text column changes its character set. */
  readonly convertsText?: boolean;
  /** reread: the only columns that come, go, or change in any row; absent when it may be others too. */
  readonly onlyColumns?: readonly string[];
}

const NEUTRAL: Statement = { kind: 'neutral', tables: [] };

/** First words of statements that never change a row themselves. */
const NEUTRAL_VERBS = new Set(
  (
    'ANALYZE BEGIN CHECK CHECKSUM COMMIT FLUSH GRANT INSTALL KILL LOCK OPTIMIZE RELEASE REPAIR REVOKE ROLLBACK ' +
    'SAVEPOINT SET SHOW START UNINSTALL UNLOCK USE'
  ).split(' '),
);
const DATA_VERBS = new Set(['CALL', 'DELETE', 'DO', 'INSERT', 'LOAD', 'REPLACE', 'SELECT', 'UPDATE', 'WITH']);
/** What CREATE, ALTER and DROP name other than tables, indexes and databases; none of it holds rows. */
const ROWLESS_OBJECTS = new Set(
  (
    'EVENT FUNCTION INSTANCE LIBRARY LOGFILE PACKAGE PROCEDURE RESOURCE ROLE SEQUENCE SERVER SPATIAL TABLESPACE ' +
    'TRIGGER UNDO USER VIEW'
  ).split(' '),
);

/**
 * Says what a statement from the log does to rows. Pure; never throws: what it does not know is 'unparsed', and what is
 * not provably neutral is 'reread' or 'restart'. Quotes, comments and versioned comments are read as MySQL reads them.
 */
export function classifyStatement(sql: string, defaultDatabase: string, mode = DEFAULT_SQL_MODE): Statement {
  const { tokens, isComplete } = tokenizeSql(sql, mode);
  while (tokens.at(-1)?.text === ';' && tokens.at(-1)?.type === 'symbol') tokens.pop();
  const cursor = new TokenCursor(tokens, defaultDatabase);
  const statement = isComplete && skipSettings(cursor) ? readStatement(cursor) : null;
  return statement ?? { kind: 'unparsed', tables: reachableTables(tokens, defaultDatabase) };
}

/** MariaDB's SET STATEMENT … FOR wraps any other statement; false when it wraps none. */
function skipSettings(cursor: TokenCursor): boolean {
  if (!cursor.takeAll('SET', 'STATEMENT')) return true;
  while (!cursor.isAtEnd && !cursor.take('FOR')) if (!cursor.takeParentheses()) cursor.skip();
  return !cursor.isAtEnd;
}

/** Null when it is not known. */
function readStatement(cursor: TokenCursor): Statement | null {
  if (cursor.isAtEnd) return NEUTRAL;
  const verb = cursor.keyword();
  const mayHaveBody = verb === 'CREATE' || verb === 'ALTER';
  if (!mayHaveBody && cursor.rest().some((token) => token.type === 'symbol' && token.text === ';')) return null;
  if (NEUTRAL_VERBS.has(verb)) return NEUTRAL;
  if (DATA_VERBS.has(verb)) return readData(cursor);
  cursor.skip();
  switch (verb) {
    case 'TRUNCATE':
      return readTruncate(cursor);
    case 'DROP':
      return readDrop(cursor);
    case 'RENAME':
      return readRename(cursor);
    case 'ALTER':
      return readAlter(cursor);
    case 'CREATE':
      return readCreate(cursor);
    case 'XA':
      return { kind: 'xa', tables: [] };
    default:
      return null;
  }
}

/** The default database as a whole, and everything that looks like `database.table`. */
function reachableTables(tokens: readonly SqlToken[], defaultDatabase: string): StatementTable[] {
  const tables = new Map<string, NamedTable>();
  // MariaDB's [name], which only one of its modes reads as a name
  const unbracketed = tokens.filter(({ type, text }) => type !== 'symbol' || (text !== '[' && text !== ']'));
  unbracketed.forEach((point, i) => {
    const before = unbracketed[i - 1];
    const after = unbracketed[i + 1];
    if (point.type !== 'symbol' || point.text !== '.' || before === undefined || after === undefined) return;
    if (before.type === 'symbol' || after.type === 'symbol') return;
    tables.set(`${before.text}\u0000${after.text}`, { database: before.text, table: after.text });
  });
  return [{ database: defaultDatabase, table: null }, ...tables.values()];
}

function readTruncate(cursor: TokenCursor): Statement | null {
  cursor.take('TABLE');
  const table = cursor.takeTable();
  takeWait(cursor);
  // MariaDB, sql_mode=ORACLE
  if (cursor.take('DROP', 'REUSE') && !cursor.take('STORAGE')) return null;
  return table !== null && cursor.isAtEnd ? { kind: 'truncate', tables: [table], definition: 'alter' } : null;
}

/** MariaDB's `WAIT n` and `NOWAIT`. */
function takeWait(cursor: TokenCursor): void {
  if (cursor.take('WAIT')) cursor.skip();
  else cursor.take('NOWAIT');
}

function readTableList(cursor: TokenCursor): ParsedName[] | null {
  const tables: ParsedName[] = [];
  do {
    const table = cursor.takeTable();
    if (table === null) return null;
    tables.push(table);
  } while (cursor.takeSymbol(','));
  return tables;
}

function readDrop(cursor: TokenCursor): Statement | null {
  if (cursor.take('TEMPORARY')) return cursor.take('TABLE', 'TABLES') ? NEUTRAL : null;
  if (cursor.take('DATABASE', 'SCHEMA')) {
    cursor.takeAll('IF', 'EXISTS');
    const database = cursor.takeIdentifier();
    return database !== null && cursor.isAtEnd ? dropDatabase(database) : null;
  }
  if (cursor.take('TABLE', 'TABLES')) {
    cursor.takeAll('IF', 'EXISTS');
    const tables = readTableList(cursor);
    takeWait(cursor);
    cursor.take('RESTRICT', 'CASCADE');
    return tables !== null && cursor.isAtEnd ? { kind: 'drop', tables, definition: 'drop' } : null;
  }
  skipModifiers(cursor);
  if (cursor.take('INDEX')) return readIndex(cursor);
  return readRowless(cursor);
}

function dropDatabase(database: string): Statement {
  return { kind: 'drop', tables: [{ database, table: null }], definition: 'drop' };
}

function readRename(cursor: TokenCursor): Statement | null {
  if (cursor.keyword() === 'USER') return NEUTRAL;
  if (!cursor.take('TABLE', 'TABLES')) return null;
  cursor.takeAll('IF', 'EXISTS');
  const tables: NamedTable[] = [];
  do {
    const table = cursor.takeTable();
    takeWait(cursor);
    if (table === null || !cursor.take('TO')) return null;
    const to = cursor.takeTable();
    if (to === null) return null;
    tables.push({ ...table, to });
  } while (cursor.takeSymbol(','));
  return cursor.isAtEnd ? { kind: 'rename', tables, definition: 'alter' } : null;
}

/** CREATE INDEX and DROP INDEX, after the word INDEX. */
function readIndex(cursor: TokenCursor): Statement | null {
  cursor.takeAll('IF', 'NOT', 'EXISTS');
  cursor.takeAll('IF', 'EXISTS');
  const name = cursor.takeIdentifier();
  if (cursor.take('USING')) cursor.skip();
  if (name === null || !cursor.take('ON')) return null;
  const table = cursor.takeTable();
  if (table === null) return null;
  return { kind: 'neutral', tables: [table], definition: 'alter' };
}

function readRowless(cursor: TokenCursor): Statement | null {
  return ROWLESS_OBJECTS.has(cursor.keyword()) ? NEUTRAL : null;
}

/** Steps over what may be between the verb and the kind of object; says whether OR REPLACE and IGNORE were there. */
function skipModifiers(cursor: TokenCursor): { readonly replaces: boolean; readonly ignores: boolean } {
  let replaces = false;
  let ignores = false;
  for (;;) {
    if (cursor.takeAll('OR', 'REPLACE')) replaces = true;
    else if (cursor.take('IGNORE')) ignores = true;
    else if (cursor.keyword() === 'DEFINER' && cursor.symbol(1) === '=') skipDefiner(cursor);
    else if (cursor.keyword() === 'ALGORITHM' && cursor.symbol(1) === '=') cursor.skip(3);
    else if (cursor.takeAll('SQL', 'SECURITY')) cursor.skip();
    else if (!cursor.take('AGGREGATE', 'DUALITY', 'JSON', 'MATERIALIZED', 'OFFLINE', 'ONLINE', 'RELATIONAL')) {
      return { replaces, ignores };
    }
  }
}

/** `DEFINER = user[@host]`, `CURRENT_USER[()]`. */
function skipDefiner(cursor: TokenCursor): void {
  cursor.skip(3);
  cursor.takeParentheses();
  if (!cursor.takeSymbol('@')) return;
  cursor.skip();
  while (cursor.takeSymbol('.')) cursor.skip();
}

function readAlter(cursor: TokenCursor): Statement | null {
  const { ignores } = skipModifiers(cursor);
  if (cursor.take('DATABASE', 'SCHEMA')) return readAlterDatabase(cursor);
  if (!cursor.take('TABLE')) return readRowless(cursor);
  cursor.takeAll('IF', 'EXISTS');
  const table = cursor.takeTable();
  if (table === null) return null;
  takeWait(cursor);
  const { rows, renamedTo, partner, keyChanges, convertsText, onlyColumns } = readAlterTable(cursor);
  // what becomes of the rows does not matter: all are read under the new name
  if (renamedTo !== null) return { kind: 'rename', tables: [{ ...table, to: renamedTo }], definition: 'alter' };
  const tables = partner === null ? [table] : [table, partner];
  if (rows === 'restart' || ignores) return { kind: 'restart', tables, definition: 'alter' };
  if (rows === 'kept') return { kind: 'neutral', tables, definition: 'alter' };
  const statement: Statement = { kind: 'reread', tables, definition: 'alter', keyChanges, convertsText };
  return onlyColumns === null ? statement : { ...statement, onlyColumns };
}

/** Options of a database are for tables to come. Without a name it is the default database. */
function readAlterDatabase(cursor: TokenCursor): Statement {
  const isUnnamed = ['CHARACTER', 'CHARSET', 'COLLATE', 'COMMENT', 'DEFAULT', 'ENCRYPTION', 'READ'].includes(
    cursor.keyword(),
  );
  const database = (isUnnamed ? null : cursor.takeIdentifier()) ?? cursor.defaultDatabase;
  return { kind: 'neutral', tables: [{ database, table: null }], definition: 'alter' };
}

function readCreate(cursor: TokenCursor): Statement | null {
  const { replaces } = skipModifiers(cursor);
  if (cursor.take('DATABASE', 'SCHEMA')) return readCreateDatabase(cursor, replaces);
  if (cursor.take('TEMPORARY')) return cursor.take('TABLE') ? NEUTRAL : readRowless(cursor);
  if (cursor.take('TABLE')) {
    const mayExist = cursor.takeAll('IF', 'NOT', 'EXISTS');
    const table = cursor.takeTable();
    if (table === null) return null;
    const statement: Statement = { kind: replaces ? 'drop' : 'neutral', tables: [table], definition: 'create' };
    return mayHaveRows(cursor) ? statement : { ...statement, startsEmpty: mayExist ? 'if new' : 'yes' };
  }
  const isIndex = cursor.keyword() === 'INDEX' || cursor.keyword(1) === 'INDEX';
  if (isIndex && (cursor.keyword() === 'INDEX' || cursor.take('UNIQUE', 'FULLTEXT', 'SPATIAL', 'VECTOR'))) {
    cursor.skip();
    return readIndex(cursor);
  }
  return readRowless(cursor);
}

/** Words that say, outside of parentheses, where rows of the new table come from. */
const ROW_SOURCES = new Set(['AS', 'SELECT', 'TABLE', 'UNION', 'VALUES', 'WITH']);
/** Whose rows are those that the log has. */
const OWN_ROWS = new Set(['ARIA', 'INNODB', 'MYISAM', 'ROCKSDB']);

/**
 * What follows the name of a new table. The log has the definition and then the rows of CREATE … SELECT, so a text that
 * names a source of rows was written in another format; other engines show rows of other tables or servers.
 */
function mayHaveRows(cursor: TokenCursor): boolean {
  while (!cursor.isAtEnd) {
    if (cursor.symbol() === '(') {
      const inside = cursor.rest();
      if (!cursor.takeParentheses()) return true;
      if (inside.slice(0, inside.length - cursor.remaining).some(({ keyword }) => keyword === 'SELECT')) return true;
      continue;
    }
    if (ROW_SOURCES.has(cursor.keyword())) return true;
    if (cursor.take('ENGINE')) {
      cursor.takeSymbol('=');
      if (!OWN_ROWS.has(cursor.keyword())) return true;
    }
    cursor.skip();
  }
  return false;
}

/** MariaDB's CREATE OR REPLACE DATABASE drops the old one first, as CREATE OR REPLACE TABLE does. */
function readCreateDatabase(cursor: TokenCursor, replaces: boolean): Statement | null {
  cursor.takeAll('IF', 'NOT', 'EXISTS');
  const database = cursor.takeIdentifier();
  if (database === null) return null;
  return { kind: replaces ? 'drop' : 'neutral', tables: [{ database, table: null }], definition: 'create' };
}

const DATA_MODIFIERS = ['LOW_PRIORITY', 'HIGH_PRIORITY', 'DELAYED', 'QUICK', 'IGNORE', 'INTO', 'FROM'] as const;

/** A statement that changes rows: its one target where that is plain to see, else everything it may reach. */
function readData(cursor: TokenCursor): Statement {
  const everything = reachableTables(cursor.rest(), cursor.defaultDatabase);
  const verb = cursor.keyword();
  cursor.skip();
  if (verb === 'INSERT' || verb === 'REPLACE' || verb === 'DELETE' || verb === 'UPDATE') {
    while (cursor.take(...DATA_MODIFIERS));
    const table = cursor.takeTable();
    const isPlain =
      verb === 'INSERT' || verb === 'REPLACE' || cursor.isAtEnd || cursor.take('SET', 'WHERE', 'ORDER', 'LIMIT');
    if (table !== null && isPlain) return { kind: 'data', tables: [table] };
  }
  return { kind: 'data', tables: everything };
}
