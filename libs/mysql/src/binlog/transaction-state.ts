import { type SourceItem, type SourceTransaction } from '#replication';
import { type HeldEvents, type HeldMark } from './xa-store.ts';

/** Where a transaction was when the savepoint was set. */
export interface Savepoint {
  readonly held: HeldMark;
  readonly images: number;
}

/** What is known of the transaction that is being read. */
export interface TransactionState {
  source: SourceTransaction;
  readonly gtid: string | null;
  /** Its begin was reported. */
  isAnnounced: boolean;
  /** BEGIN was seen: it ends with its own COMMIT, XID or XA PREPARE. Else the next statement is all of it. */
  hasBegun: boolean;
  /** Row images so far, included or not; while events are held, those since the event that was held last. */
  images: number;
  /** Rows of included tables were emitted. */
  hasEmittedRows: boolean;
  /** `X'gtrid',X'bqual',format` after XA START, or after the GTID with which MariaDB prepares. */
  xid: string | null;
  /**
   * The log may hold rows of it that were rolled back. With row format, MySQL with GTIDs takes such rows out of the log.
   * MariaDB, and MySQL without GTIDs, write SAVEPOINT and ROLLBACK TO around them when the transaction also wrote to a table
   * without transactions; MariaDB writes ROLLBACK after all of them when that was to a savepoint before the first row, or
   * when the transaction made a temporary table (MariaDB source, `binlog_savepoint_rollback` and `binlog_rollback` in
   * `sql/log.cc`). Rows of the table without transactions itself are never among them: in row format they are a
   * transaction of their own (`use_trans_cache`, the same file).
   */
  readonly mayRollBack: boolean;
  /** Items that wait for the transaction's end; null when nothing waits, or no longer. */
  waiting: SourceItem[] | null;
  /** Bytes of the log that the waiting items keep. */
  waitingBytes: number;
  /** The events that wait for the outcome: of an XA transaction all of them, of another those that may be rolled back. */
  held: HeldEvents | null;
  /** Row images before the first held event. */
  imagesBeforeHeld: number;
  /** Savepoints since rows are held, by name; null before the first. */
  savepoints: Map<string, Savepoint> | null;
  /** Rows that were rolled back are in this log; they need not be in the log of another server. */
  hasRolledBack: boolean;
  /** Its rows come from held events. */
  isReplayed: boolean;
}

const ONE_PHASE = 'onephase';

export interface XaStatement {
  readonly verb: string;
  readonly xid: string;
}

/** `XA <verb> X'…',X'…',n` as the server writes it to the log; null for anything else. */
export function parseXaStatement(sql: string): XaStatement | null {
  const match = /^XA\s+(START|BEGIN|END|COMMIT|ROLLBACK)\s/i.exec(sql);
  if (match === null) return null;
  const rest = sql.slice(match[0].length).replace(/\s+/g, '').toLowerCase();
  return {
    verb: (match[1] ?? '').toUpperCase(),
    xid: rest.endsWith(ONE_PHASE) ? rest.slice(0, -ONE_PHASE.length) : rest,
  };
}

export type StatementRole = 'commit' | 'rollback' | 'rollback-to' | 'savepoint' | 'release-savepoint' | 'xa' | 'other';

/** The part a statement plays in a transaction; only the short ones that the server itself writes are looked at. */
export function statementRole(sql: string): StatementRole {
  if (sql === 'COMMIT') return 'commit';
  if (/^rollback\s+to\b/i.test(sql)) return 'rollback-to';
  if (/^rollback\s*$/i.test(sql)) return 'rollback';
  if (/^savepoint\b/i.test(sql)) return 'savepoint';
  if (/^release\s+savepoint\b/i.test(sql)) return 'release-savepoint';
  if (/^xa\s/i.test(sql)) return 'xa';
  return 'other';
}

/** The name in `SAVEPOINT name` or `ROLLBACK TO name` as the server writes it; names are not case-sensitive. */
export function savepointName(sql: string): string {
  return sql
    .replace(/^(?:savepoint|rollback\s+to(?:\s+savepoint\b)?)/i, '')
    .trim()
    .toLowerCase();
}
