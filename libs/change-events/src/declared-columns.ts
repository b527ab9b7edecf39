import { type SqlMode, type SqlToken, tokenizeSql } from './sql-tokens.ts';

export interface DeclaredColumn {
  readonly name: string;
  /** The first word of its type, in upper case. */
  readonly type: string;
}

/** What a CREATE TABLE or ALTER TABLE says of columns, in its own words. */
export interface DeclaredColumns {
  readonly columns: readonly DeclaredColumn[];
  /** Whether the table is given MariaDB's system versioning. */
  readonly isVersioned: boolean;
}

const NOTHING: DeclaredColumns = { columns: [], isVersioned: false };
/** What a definition begins with that defines no column, unless it is quoted. */
const NO_COLUMN = new Set(
  'KEY INDEX UNIQUE PRIMARY CONSTRAINT FULLTEXT SPATIAL VECTOR FOREIGN CHECK PERIOD LIKE SYSTEM PARTITION'.split(' '),
);
const WORDS_BEFORE_NAME = new Set(['COLUMN', 'IF', 'NOT', 'EXISTS']);

/** Nothing for any other statement, and for a text that can't be read. */
export function readDeclaredColumns(sql: string, mode: SqlMode): DeclaredColumns {
  const { tokens } = tokenizeSql(sql, mode);
  const table = tokens.findIndex(({ keyword }) => keyword === 'TABLE');
  const [first] = tokens;
  if (first === undefined || table === -1) return NOTHING;
  const rest = tokens.slice(table + 1);
  if (first.keyword === 'CREATE') return readCreate(rest);
  return first.keyword === 'ALTER' ? readAlter(rest) : NOTHING;
}

function readCreate(tokens: readonly SqlToken[]): DeclaredColumns {
  const open = tokens.findIndex(isOpening);
  const body = open === -1 ? [] : contentOf(tokens, open);
  const options = open === -1 ? tokens : tokens.slice(open + body.length + 2);
  return { columns: splitAtCommas(body).flatMap(readDefinition), isVersioned: hasVersioning(options, 'WITH') };
}

function readAlter(tokens: readonly SqlToken[]): DeclaredColumns {
  const changes = splitAtCommas(tokens);
  return {
    columns: changes.flatMap(readChange),
    isVersioned: changes.some((change) => hasVersioning(change, 'ADD')),
  };
}

function readChange(change: readonly SqlToken[]): DeclaredColumn[] {
  const verb = change.findIndex(({ keyword }) => keyword === 'ADD' || keyword === 'MODIFY' || keyword === 'CHANGE');
  if (verb === -1) return [];
  let at = verb + 1;
  while (WORDS_BEFORE_NAME.has(change[at]?.keyword ?? '')) at++;
  const next = change[at];
  if (next !== undefined && isOpening(next)) return splitAtCommas(contentOf(change, at)).flatMap(readDefinition);
  return readDefinition(change.slice(change[verb]?.keyword === 'CHANGE' ? at + 1 : at));
}

function readDefinition([name, type]: readonly SqlToken[]): DeclaredColumn[] {
  if (name === undefined || type?.type !== 'word' || NO_COLUMN.has(name.keyword)) return [];
  return name.type === 'word' || name.type === 'name' ? [{ name: name.text, type: type.keyword }] : [];
}

function hasVersioning(tokens: readonly SqlToken[], verb: string): boolean {
  return tokens.some(
    ({ keyword }, i) =>
      keyword === verb && tokens[i + 1]?.keyword === 'SYSTEM' && tokens[i + 2]?.keyword === 'VERSIONING',
  );
}

function isOpening({ type, text }: SqlToken): boolean {
  return type === 'symbol' && text === '(';
}

/** How many parentheses are open after each token. */
function depths(tokens: readonly SqlToken[]): number[] {
  let depth = 0;
  return tokens.map((token) => {
    if (isOpening(token)) depth++;
    else if (token.type === 'symbol' && token.text === ')') depth--;
    return depth;
  });
}

/** What is inside the parentheses that open at `open`. */
function contentOf(tokens: readonly SqlToken[], open: number): readonly SqlToken[] {
  const rest = tokens.slice(open);
  const close = depths(rest).indexOf(0);
  return rest.slice(1, close === -1 ? rest.length : close);
}

function splitAtCommas(tokens: readonly SqlToken[]): SqlToken[][] {
  const depthOf = depths(tokens);
  const parts: SqlToken[][] = [[]];
  tokens.forEach((token, i) => {
    if (depthOf[i] === 0 && token.type === 'symbol' && token.text === ',') parts.push([]);
    else parts.at(-1)?.push(token);
  });
  return parts;
}
