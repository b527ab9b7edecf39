import { type TokenCursor } from './token-cursor.ts';

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
  'INSERT_METHOD',
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
  'STORAGE',
  'TABLESPACE',
  'TRANSACTIONAL',
]);

/** Reads `[=] value` and gives the value, in upper case; null when there is none here. */
function takeValue(cursor: TokenCursor): string | null {
  cursor.takeSymbol('=');
  return cursor.takeIdentifier()?.toUpperCase() ?? null;
}

/** A table option, ALGORITHM or LOCK at the cursor that leaves rows alone. */
function takeNeutralOption(cursor: TokenCursor): boolean {
  if (cursor.take('ENGINE')) return KEEPING_ENGINES.has(takeValue(cursor) ?? '');
  if (cursor.take('ALGORITHM', 'LOCK')) return takeValue(cursor) !== null;
  if (cursor.take('DEFAULT')) return takeDefaultCharset(cursor);
  if (cursor.keyword() === 'CHARACTER' || cursor.keyword() === 'CHARSET' || cursor.keyword() === 'COLLATE') {
    return takeDefaultCharset(cursor);
  }
  if (cursor.takeAll('PARTITION', 'BY')) return takePartitioning(cursor);
  if (cursor.takeAll('REMOVE', 'PARTITIONING')) return true;
  if (cursor.takeAll('DATA', 'DIRECTORY') || cursor.takeAll('INDEX', 'DIRECTORY')) return takeValue(cursor) !== null;
  if (!NEUTRAL_OPTIONS.has(cursor.keyword())) return false;
  cursor.skip();
  return takeValue(cursor) !== null;
}

/** Changes what new columns get; those that exist keep theirs (CONVERT TO changes them). */
function takeDefaultCharset(cursor: TokenCursor): boolean {
  const known = cursor.takeAll('CHARACTER', 'SET') || cursor.take('CHARSET', 'COLLATE');
  return known && takeValue(cursor) !== null;
}

/** Always last, and a row that no partition takes is an error (ER_NO_PARTITION_FOR_GIVEN_VALUE), so none is lost. */
function takePartitioning(cursor: TokenCursor): boolean {
  cursor.skip(cursor.remaining);
  return true;
}

/** Reads table options to the end; false at one that is not known to leave every row alone. */
export function takeNeutralOptions(cursor: TokenCursor): boolean {
  while (!cursor.isAtEnd) if (!takeNeutralOption(cursor)) return false;
  return true;
}
