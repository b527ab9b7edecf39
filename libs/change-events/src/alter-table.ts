import { type ParsedName, type TokenCursor } from './token-cursor.ts';

/** What one ALTER TABLE does to the rows of its table. */
export interface AlterTableEffect {
  readonly changesRows: boolean;
  readonly renamedTo: ParsedName | null;
}

const NEUTRAL: AlterTableEffect = { changesRows: false, renamedTo: null };
const ROWS_CHANGED: AlterTableEffect = { changesRows: true, renamedTo: null };

/** Engines that keep every row when a table moves to them (BLACKHOLE, for one, keeps none). */
const KEEPING_ENGINES = new Set(['INNODB', 'MYISAM', 'ARIA', 'ROCKSDB', 'NDB', 'NDBCLUSTER']);
/** Table options of one value that leave rows alone; MySQL manual, "CREATE TABLE Statement", table_option. */
const NEUTRAL_OPTIONS = new Set([
  'AUTO_INCREMENT',
  'AUTOEXTEND_SIZE',
  'AVG_ROW_LENGTH',
  'CHECKSUM',
  'COMMENT',
  'COMPRESSION',
  'DELAY_KEY_WRITE',
  'ENCRYPTION',
  'ENGINE_ATTRIBUTE',
  'KEY_BLOCK_SIZE',
  'MAX_ROWS',
  'MIN_ROWS',
  'PACK_KEYS',
  'PAGE_CHECKSUM',
  'PAGE_COMPRESSED',
  'ROW_FORMAT',
  'SECONDARY_ENGINE',
  'SECONDARY_ENGINE_ATTRIBUTE',
  'STATS_AUTO_RECALC',
  'STATS_PERSISTENT',
  'STATS_SAMPLE_PAGES',
  'TRANSACTIONAL',
]);

/** Reads `[=] value` and says the value, in upper case; null when none stands here. */
function takeOptionValue(cursor: TokenCursor): string | null {
  cursor.takeSymbol('=');
  return cursor.takeIdentifier()?.toUpperCase() ?? null;
}

/** A table option, ALGORITHM or LOCK at the cursor that leaves rows alone. */
function takeNeutralOption(cursor: TokenCursor): boolean {
  if (cursor.take('ENGINE')) return KEEPING_ENGINES.has(takeOptionValue(cursor) ?? '');
  if (cursor.take('ALGORITHM', 'LOCK')) return takeOptionValue(cursor) !== null;
  if (cursor.take('DEFAULT')) return takeDefaultCharset(cursor);
  if (cursor.keyword() === 'CHARACTER' || cursor.keyword() === 'CHARSET' || cursor.keyword() === 'COLLATE') {
    return takeDefaultCharset(cursor);
  }
  if (!NEUTRAL_OPTIONS.has(cursor.keyword())) return false;
  cursor.skip();
  return takeOptionValue(cursor) !== null;
}

/** Changes what new columns get; those that exist keep theirs (CONVERT TO changes them). */
function takeDefaultCharset(cursor: TokenCursor): boolean {
  const known = cursor.takeAll('CHARACTER', 'SET') || cursor.take('CHARSET', 'COLLATE');
  return known && takeOptionValue(cursor) !== null;
}

function isOptions(cursor: TokenCursor): boolean {
  while (!cursor.isAtEnd) if (!takeNeutralOption(cursor)) return false;
  return true;
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

function isNeutralAdd(cursor: TokenCursor): boolean {
  if (cursor.take('INDEX', 'KEY')) return isIndexDefinition(cursor);
  if (cursor.take('FULLTEXT', 'SPATIAL')) {
    cursor.take('INDEX', 'KEY');
    return isIndexDefinition(cursor);
  }
  if (cursor.takeAll('VECTOR', 'INDEX') || cursor.takeAll('VECTOR', 'KEY')) return isIndexDefinition(cursor);
  if (cursor.take('PARTITION')) return true;
  if (cursor.take('CONSTRAINT') && !['FOREIGN', 'CHECK', 'UNIQUE', 'PRIMARY'].includes(cursor.keyword())) {
    cursor.takeAll('IF', 'NOT', 'EXISTS');
    cursor.takeIdentifier();
  }
  return isNeutralConstraint(cursor);
}

function isNeutralDrop(cursor: TokenCursor): boolean {
  if (!cursor.take('INDEX', 'KEY', 'CHECK', 'CONSTRAINT') && !cursor.takeAll('FOREIGN', 'KEY')) return false;
  cursor.takeAll('IF', 'EXISTS');
  const name = cursor.takeIdentifier();
  return name !== null && !isPrimaryName(name) && isOptions(cursor);
}

/** The name by which index statements reach the primary key. */
export function isPrimaryName(name: string): boolean {
  return name.toUpperCase() === 'PRIMARY';
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
  return cursor.takeAll('SET', 'DEFAULT') || cursor.takeAll('DROP', 'DEFAULT');
}

/** What may stand behind `PARTITION` … at the start of a specification and moves rows at most between partitions. */
const NEUTRAL_PARTITION_VERBS = new Set([
  'ANALYZE',
  'CHECK',
  'COALESCE',
  'OPTIMIZE',
  'REBUILD',
  'REORGANIZE',
  'REPAIR',
]);

function readSpecification(cursor: TokenCursor): AlterTableEffect {
  if (cursor.isAtEnd) return NEUTRAL;
  if (cursor.keyword() === 'RENAME' && !['COLUMN', 'INDEX', 'KEY'].includes(cursor.keyword(1))) {
    return readRename(cursor);
  }
  return { changesRows: !isNeutralSpecification(cursor), renamedTo: null };
}

function readRename(cursor: TokenCursor): AlterTableEffect {
  cursor.skip();
  if (!cursor.take('TO', 'AS')) cursor.takeSymbol('=');
  const renamedTo = cursor.takeTable();
  return renamedTo === null ? ROWS_CHANGED : { changesRows: !isOptions(cursor), renamedTo };
}

function isNeutralSpecification(cursor: TokenCursor): boolean {
  if (cursor.take('ADD')) return isNeutralAdd(cursor);
  if (cursor.take('DROP')) return isNeutralDrop(cursor);
  if (cursor.take('ALTER')) return isNeutralAlter(cursor);
  if (cursor.take('RENAME')) return cursor.take('INDEX', 'KEY');
  if (cursor.take('ENABLE', 'DISABLE')) return cursor.take('KEYS') && isOptions(cursor);
  if (cursor.take('FORCE')) return isOptions(cursor);
  if (cursor.takeAll('ORDER', 'BY')) return isOrderItem(cursor);
  if (cursor.take('WITH', 'WITHOUT')) return cursor.take('VALIDATION') && cursor.isAtEnd;
  if (NEUTRAL_PARTITION_VERBS.has(cursor.keyword())) return cursor.keyword(1) === 'PARTITION';
  return isOptions(cursor);
}

function isOrderItem(cursor: TokenCursor): boolean {
  if (cursor.takeIdentifier() === null) return false;
  if (cursor.takeSymbol('.')) cursor.takeIdentifier();
  cursor.take('ASC', 'DESC');
  return isOptions(cursor);
}

/** A further column behind the comma of ORDER BY a, b: no other specification is this short and changes rows. */
function isFurtherOrderItem(segment: TokenCursor): boolean {
  return segment.remaining === 1 || (segment.remaining === 2 && ['ASC', 'DESC'].includes(segment.keyword(1)));
}

/**
 * Reads the specifications behind ALTER TABLE and its table's name, to the end. Whatever is not known to leave every
 * value of every row alone counts as changing rows.
 */
export function readAlterTable(cursor: TokenCursor): AlterTableEffect {
  let effect = NEUTRAL;
  let isOrdering = false;
  for (const segment of cursor.takeSegments()) {
    if (isOrdering && isFurtherOrderItem(segment)) continue;
    isOrdering ||= segment.keyword() === 'ORDER';
    const next = readSpecification(segment);
    effect = {
      changesRows: effect.changesRows || next.changesRows,
      renamedTo: next.renamedTo ?? effect.renamedTo,
    };
  }
  return effect;
}
