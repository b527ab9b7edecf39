/** The settings of `sql_mode` that change how MySQL's lexer reads a statement. */
export interface SqlMode {
  /** ANSI_QUOTES: text in double quotes is a name. */
  readonly hasAnsiQuotes: boolean;
  /** Without NO_BACKSLASH_ESCAPES: a backslash in a string escapes the character after it. */
  readonly hasEscapes: boolean;
}

export const DEFAULT_SQL_MODE: SqlMode = { hasAnsiQuotes: false, hasEscapes: true };

/** A piece of SQL. A `name` is quoted and so never a keyword; a `word` is unquoted: a keyword, a name or a number. */
export interface SqlToken {
  readonly type: 'word' | 'name' | 'string' | 'symbol';
  /** A word as written, a name or string without its quotes, a symbol's one character. */
  readonly text: string;
  /** Upper case for words; '' else. */
  readonly keyword: string;
}

const WORD = /[0-9A-Za-z$_\u0080-\uffff]+/y;
/** `/*!`, `/*!80013`, MariaDB's `/*M!100100`: what follows up to the end mark is executed, by some servers at least. */
const VERSIONED_COMMENT = /\/\*M?!\d{0,6}/y;

/** The place just after a quoted text that opens at `start`, or -1 when it does not end. Doubled quotes stay inside. */
function endOfQuoted(sql: string, start: number, hasEscapes: boolean): number {
  const quote = sql[start];
  for (let i = start + 1; i < sql.length; i++) {
    if (hasEscapes && sql[i] === '\\') i++;
    else if (sql[i] === quote) {
      if (sql[i + 1] !== quote) return i + 1;
      i++;
    }
  }
  return -1;
}

/**
 * The place just after the white space or comment that begins at `start`; `start` when there is none, -1 when it does
 * not end.
 */
function endOfBlank(sql: string, start: number): number {
  const character = sql[start] as string;
  if (character <= ' ') return start + 1;
  if (character === '#' || (sql.startsWith('--', start) && (sql[start + 2] ?? ' ') <= ' ')) {
    const end = sql.indexOf('\n', start);
    return end === -1 ? sql.length : end + 1;
  }
  if (character === '/' && sql[start + 1] === '*') {
    const end = sql.indexOf('*/', start + 2);
    return end === -1 ? -1 : end + 2;
  }
  return start;
}

export interface SqlTokens {
  readonly tokens: SqlToken[];
  /**
   * False when a quote or comment does not end, or when there is something that no statement has. Such marks are passed
   * over then: the tokens after them hold the names that the text may have, and words that are not names.
   */
  readonly isComplete: boolean;
}

/** Cuts a statement as MySQL's lexer does; comments go, the content of versioned comments stays. */
export function tokenizeSql(sql: string, mode: SqlMode): SqlTokens {
  const tokens: SqlToken[] = [];
  let isVersioned = false;
  /** Marks that do not end; each is looked for once, so that no text takes more than a few passes. */
  const unended = new Set<string>();
  let at = 0;
  while (at < sql.length) {
    const character = sql[at] as string;
    if (unended.has(character)) {
      at++;
      continue;
    }
    VERSIONED_COMMENT.lastIndex = at;
    if (character === '/' && VERSIONED_COMMENT.test(sql)) {
      isVersioned = true;
      at = VERSIONED_COMMENT.lastIndex;
      continue;
    }
    if (isVersioned && character === '*' && sql[at + 1] === '/') {
      isVersioned = false;
      at += 2;
      continue;
    }
    const blankEnd = endOfBlank(sql, at);
    if (blankEnd > at) {
      at = blankEnd;
      continue;
    }
    const token = blankEnd === -1 ? null : readToken(sql, at, mode);
    if (token === null) {
      unended.add(character);
      continue;
    }
    tokens.push(token.token);
    at = token.end;
  }
  return { tokens, isComplete: unended.size === 0 && !isVersioned };
}

function readToken(sql: string, at: number, mode: SqlMode): { readonly token: SqlToken; readonly end: number } | null {
  const character = sql[at] as string;
  if (character === '\\') return null;
  if (character === '`' || character === '"' || character === "'") {
    const isName = character === '`' || (character === '"' && mode.hasAnsiQuotes);
    const end = endOfQuoted(sql, at, !isName && mode.hasEscapes);
    if (end === -1) return null;
    const text = sql.slice(at + 1, end - 1).replaceAll(character + character, character);
    return { token: { type: isName ? 'name' : 'string', text, keyword: '' }, end };
  }
  WORD.lastIndex = at;
  const word = WORD.exec(sql)?.[0];
  if (word === undefined) return { token: { type: 'symbol', text: character, keyword: '' }, end: at + 1 };
  return { token: { type: 'word', text: word, keyword: word.toUpperCase() }, end: at + word.length };
}
