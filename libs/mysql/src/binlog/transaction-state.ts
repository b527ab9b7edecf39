import { type SourceTransaction } from '#replication';
import { type HeldEvents } from './xa-store.ts';

/** What is known of the transaction that is being read. */
export interface TransactionState {
  source: SourceTransaction;
  readonly gtid: string | null;
  /** Its begin was told. */
  isAnnounced: boolean;
  /** BEGIN was seen: it ends with its own COMMIT, XID or XA PREPARE. Else the next statement is all of it. */
  hasBegun: boolean;
  /** Row images so far, included or not; while events are held, those since the event that was held last. */
  images: number;
  /** Rows of included tables were seen. */
  hasRows: boolean;
  /** `X'gtrid',X'bqual',format` behind XA START, or behind the GTID with which MariaDB prepares. */
  xid: string | null;
  /** Between XA START and the end of that: the events that wait for what becomes of them. */
  held: HeldEvents | null;
  /** Its rows come from held events. */
  isReplayed: boolean;
}

export interface XaStatement {
  readonly verb: string;
  readonly xid: string;
}

/** `XA <verb> X'…',X'…',n` as the server writes it to the log; null for anything else. */
export function parseXaStatement(sql: string): XaStatement | null {
  const match = /^XA\s+(START|BEGIN|END|COMMIT|ROLLBACK)\s+(.*?)\s*(?:ONE\s+PHASE\s*)?$/is.exec(sql);
  if (match === null) return null;
  return { verb: (match[1] ?? '').toUpperCase(), xid: (match[2] ?? '').replace(/\s+/g, '').toLowerCase() };
}

export type StatementRole = 'begin' | 'commit' | 'rollback' | 'rollback-to' | 'savepoint' | 'xa' | 'other';

/** The part a statement plays in a transaction; only the short ones that the server itself writes are looked at. */
export function statementRole(sql: string): StatementRole {
  if (sql === 'BEGIN') return 'begin';
  if (sql === 'COMMIT') return 'commit';
  if (/^rollback\s+to\b/i.test(sql)) return 'rollback-to';
  if (/^rollback\s*$/i.test(sql)) return 'rollback';
  if (/^(?:savepoint|release\s+savepoint)\b/i.test(sql)) return 'savepoint';
  if (/^xa\s/i.test(sql)) return 'xa';
  return 'other';
}
