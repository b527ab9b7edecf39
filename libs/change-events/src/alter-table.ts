import { takeNeutralOptions } from './table-options.ts';
import { type ParsedName, type TokenCursor } from './token-cursor.ts';

/**
 * What becomes of the rows of a table:
 * - `kept`: every value of every row stays as it is; which columns are the key may change;
 * - `reread`: values or their columns may change, while no row comes or goes and, unless a column of `keyChanges` is in
 *   the key, none changes its key;
 * - `restart`: rows may come, go or change their key. Whatever is not known is this.
 */
export type RowsEffect = 'kept' | 'reread' | 'restart';

/** What one ALTER TABLE does to the rows of its table. */
export interface AlterTableEffect {
  readonly rows: RowsEffect;
  /** Columns that change their name or type or go; with one of them in the key, rows change their keys too. */
  readonly keyChanges: readonly string[];
  /** Every text column changes its character set. */
  readonly convertsText: boolean;
  /** The only columns that come, go, or change in any row; null when it may be others too. */
  readonly onlyColumns: readonly string[] | null;
  readonly renamedTo: ParsedName | null;
  /** The other table of EXCHANGE PARTITION and of MariaDB's CONVERT; the same becomes of its rows. */
  readonly partner: ParsedName | null;
}

const KEPT: AlterTableEffect = {
  rows: 'kept',
  keyChanges: [],
  convertsText: false,
  onlyColumns: [],
  renamedTo: null,
  partner: null,
};
const RESTART: AlterTableEffect = { ...KEPT, rows: 'restart', onlyColumns: null };

function reread(...keyChanges: readonly string[]): AlterTableEffect {
  return { ...KEPT, rows: 'reread', keyChanges, onlyColumns: null };
}

function keptIf(isKept: boolean): AlterTableEffect {
  return isKept ? KEPT : RESTART;
}

/** `[name] [USING type] (parts) [options]`, as after ADD INDEX. A column definition does not fit: it has a type. */
function isIndexDefinition(cursor: TokenCursor): boolean {
  cursor.takeAll('IF', 'NOT', 'EXISTS');
  if (cursor.symbol() !== '(' && cursor.keyword() !== 'USING') cursor.takeIdentifier();
  if (cursor.take('USING')) cursor.skip();
  return cursor.takeParentheses() && !hasPartitioning(cursor);
}

/** Whether anything like PARTITION BY follows; a segment is read to its end. */
function hasPartitioning(cursor: TokenCursor): boolean {
  while (!cursor.isAtEnd) {
    if (cursor.take('PARTITION', 'REMOVE')) return true;
    cursor.skip();
  }
  return false;
}

function isNeutralConstraint(cursor: TokenCursor): boolean {
  if (cursor.takeAll('FOREIGN', 'KEY')) return !hasPartitioning(cursor);
  if (cursor.take('CHECK')) return cursor.takeParentheses() && !hasPartitioning(cursor);
  if (!cursor.take('UNIQUE')) return false;
  cursor.take('INDEX', 'KEY');
  return isIndexDefinition(cursor);
}

/** Unquoted, these begin something else than a column after ADD and DROP. */
const NO_COLUMN = [
  'CHECK',
  'CONSTRAINT',
  'FOREIGN',
  'FULLTEXT',
  'INDEX',
  'KEY',
  'PARTITION',
  'PERIOD',
  'PRIMARY',
  'SPATIAL',
  'SYSTEM',
  'UNIQUE',
];

function readAdd(cursor: TokenCursor): AlterTableEffect {
  if (cursor.take('COLUMN')) return readColumn(cursor, 0);
  if (cursor.take('INDEX', 'KEY')) return keptIf(isIndexDefinition(cursor));
  if (cursor.take('FULLTEXT', 'SPATIAL')) {
    cursor.take('INDEX', 'KEY');
    return keptIf(isIndexDefinition(cursor));
  }
  if (cursor.takeAll('VECTOR', 'INDEX') || cursor.takeAll('VECTOR', 'KEY')) return keptIf(isIndexDefinition(cursor));
  if (cursor.take('PARTITION')) return KEPT;
  if (!NO_COLUMN.includes(cursor.keyword())) return readColumn(cursor, 0);
  if (cursor.take('CONSTRAINT') && !['FOREIGN', 'CHECK', 'UNIQUE', 'PRIMARY'].includes(cursor.keyword())) {
    cursor.takeAll('IF', 'NOT', 'EXISTS');
    cursor.takeIdentifier();
  }
  return keptIf(isNeutralConstraint(cursor));
}

/**
 * A column definition after `names` names that exist already (ADD: none, MODIFY: one, CHANGE: the old name, then the
 * new); also ADD's list of them in parentheses.
 */
function readColumn(cursor: TokenCursor, names: 0 | 1 | 2): AlterTableEffect {
  cursor.takeAll('IF', 'NOT', 'EXISTS');
  cursor.takeAll('IF', 'EXISTS');
  const isList = names === 0 && cursor.symbol() === '(';
  const changed: string[] = [];
  let added: string | null = null;
  for (let i = 0; !isList && i < Math.max(1, names); i++) {
    const name = cursor.takeIdentifier();
    if (name === null) return RESTART;
    if (i < names) changed.push(name);
    else added = name;
  }
  if (cursor.isAtEnd || makesKey(cursor)) return RESTART;
  // another type can change the values of generated columns that are made of it; MySQL lets none of those lose a column
  return { ...reread(...changed), onlyColumns: added === null || hasPartitioning(cursor) ? null : [added] };
}

/** `PRIMARY KEY`, or `KEY` alone, which means the same in a column definition (MySQL manual, "CREATE TABLE Statement"). */
function makesKey(cursor: TokenCursor): boolean {
  let previous = '';
  for (const { keyword } of cursor.rest()) {
    if (keyword === 'PRIMARY' || (keyword === 'KEY' && previous !== 'UNIQUE')) return true;
    previous = keyword;
  }
  return false;
}

function readDrop(cursor: TokenCursor): AlterTableEffect {
  const isColumn = cursor.take('COLUMN') || !NO_COLUMN.includes(cursor.keyword());
  if (!isColumn && cursor.takeAll('PRIMARY', 'KEY')) return keptIf(takeNeutralOptions(cursor));
  const isNeutral =
    !isColumn && (cursor.take('INDEX', 'KEY', 'CHECK', 'CONSTRAINT') || cursor.takeAll('FOREIGN', 'KEY'));
  if (!isColumn && !isNeutral) return RESTART;
  cursor.takeAll('IF', 'EXISTS');
  const name = cursor.takeIdentifier();
  cursor.take('RESTRICT', 'CASCADE');
  if (name === null || !takeNeutralOptions(cursor)) return RESTART;
  return isColumn ? { ...reread(name), onlyColumns: [name] } : KEPT;
}

function isNeutralAlter(cursor: TokenCursor): boolean {
  if (cursor.take('INDEX', 'KEY')) {
    return cursor.takeIdentifier() !== null && cursor.take('VISIBLE', 'INVISIBLE', 'IGNORED', 'NOT');
  }
  if (cursor.take('CHECK', 'CONSTRAINT')) {
    cursor.takeIdentifier();
    cursor.take('NOT');
    return cursor.take('ENFORCED') && cursor.isAtEnd;
  }
  cursor.take('COLUMN');
  if (cursor.takeIdentifier() === null) return false;
  if (cursor.takeAll('DROP', 'DEFAULT')) return true;
  // what is invisible is in the log and in the catalogue as well
  return cursor.take('SET') && cursor.take('DEFAULT', 'VISIBLE', 'INVISIBLE');
}

/** What may come before `PARTITION` at the start of a specification and moves rows at most between partitions. */
const NEUTRAL_PARTITION_VERBS = new Set([
  'ANALYZE',
  'CHECK',
  'COALESCE',
  'OPTIMIZE',
  'REBUILD',
  'REORGANIZE',
  'REPAIR',
]);

function readRename(cursor: TokenCursor): AlterTableEffect {
  if (cursor.take('INDEX', 'KEY')) return KEPT;
  if (cursor.take('COLUMN')) {
    const from = cursor.takeIdentifier();
    const to = cursor.take('TO') ? cursor.takeIdentifier() : null;
    return from === null || to === null ? RESTART : { ...reread(from, to), onlyColumns: [from, to] };
  }
  if (!cursor.take('TO', 'AS')) cursor.takeSymbol('=');
  const renamedTo = cursor.takeTable();
  if (renamedTo === null) return RESTART;
  return { ...keptIf(takeNeutralOptions(cursor)), renamedTo };
}

/** EXCHANGE PARTITION p WITH TABLE t; MariaDB's CONVERT PARTITION p TO TABLE t and CONVERT TABLE t TO PARTITION p. */
function readPartner(cursor: TokenCursor): AlterTableEffect {
  while (!cursor.isAtEnd && !cursor.take('TABLE')) cursor.skip();
  return { ...RESTART, partner: cursor.takeTable() };
}

function readConvert(cursor: TokenCursor): AlterTableEffect {
  const isText = cursor.takeAll('TO', 'CHARACTER', 'SET') || cursor.takeAll('TO', 'CHARSET');
  return isText ? { ...reread(), convertsText: true } : readPartner(cursor);
}

function readSpecification(cursor: TokenCursor): AlterTableEffect {
  if (cursor.isAtEnd) return KEPT;
  if (cursor.take('ADD')) return readAdd(cursor);
  if (cursor.take('DROP')) return readDrop(cursor);
  if (cursor.take('MODIFY')) return readModify(cursor, 1);
  if (cursor.take('CHANGE')) return readModify(cursor, 2);
  if (cursor.take('RENAME')) return readRename(cursor);
  if (cursor.take('CONVERT')) return readConvert(cursor);
  if (cursor.take('EXCHANGE')) return readPartner(cursor);
  return keptIf(isNeutralSpecification(cursor));
}

function readModify(cursor: TokenCursor, names: 1 | 2): AlterTableEffect {
  cursor.take('COLUMN');
  return readColumn(cursor, names);
}

function isNeutralSpecification(cursor: TokenCursor): boolean {
  if (cursor.take('ALTER')) return isNeutralAlter(cursor);
  if (cursor.take('ENABLE', 'DISABLE')) return cursor.take('KEYS') && takeNeutralOptions(cursor);
  if (cursor.take('FORCE')) return takeNeutralOptions(cursor);
  if (cursor.takeAll('ORDER', 'BY')) return isOrderItem(cursor);
  if (cursor.take('WITH', 'WITHOUT')) return cursor.take('VALIDATION') && cursor.isAtEnd;
  if (cursor.take('SECONDARY_LOAD', 'SECONDARY_UNLOAD')) return true;
  return takeNeutralOptions(cursor);
}

function isOrderItem(cursor: TokenCursor): boolean {
  if (cursor.takeIdentifier() === null) return false;
  if (cursor.takeSymbol('.')) cursor.takeIdentifier();
  cursor.take('ASC', 'DESC');
  return takeNeutralOptions(cursor);
}

/** A further column after the comma of ORDER BY a, b: no other specification is this short and changes rows. */
function isFurtherOrderItem(segment: TokenCursor): boolean {
  return segment.remaining === 1 || (segment.remaining === 2 && ['ASC', 'DESC'].includes(segment.keyword(1)));
}

const STRENGTHS: readonly RowsEffect[] = ['kept', 'reread', 'restart'];

function strongerOf(one: RowsEffect, other: RowsEffect): RowsEffect {
  return STRENGTHS.indexOf(one) < STRENGTHS.indexOf(other) ? other : one;
}

/** Reads the specifications after ALTER TABLE and its table's name, to the end. */
export function readAlterTable(cursor: TokenCursor): AlterTableEffect {
  // is the only specification, and its list of partitions holds commas of its own
  if (NEUTRAL_PARTITION_VERBS.has(cursor.keyword()) && cursor.keyword(1) === 'PARTITION') return KEPT;
  let effect = KEPT;
  let isOrdering = false;
  for (const segment of cursor.takeSegments()) {
    if (isOrdering && isFurtherOrderItem(segment)) continue;
    isOrdering ||= segment.keyword() === 'ORDER';
    const next = readSpecification(segment);
    effect = {
      rows: strongerOf(effect.rows, next.rows),
      keyChanges: [...effect.keyChanges, ...next.keyChanges],
      convertsText: effect.convertsText || next.convertsText,
      onlyColumns:
        effect.onlyColumns === null || next.onlyColumns === null ? null : [...effect.onlyColumns, ...next.onlyColumns],
      renamedTo: next.renamedTo ?? effect.renamedTo,
      partner: next.partner ?? effect.partner,
    };
  }
  return effect;
}
