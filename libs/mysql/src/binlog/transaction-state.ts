/** What is known of the transaction that is being read. */
export interface TransactionState {
  gtid: string;
  /** BEGIN was seen: it ends with its own COMMIT, XID or XA PREPARE. Else the next statement is all of it. */
  hasBegun: boolean;
  /** Row images so far, included or not. */
  images: number;
  /** Rows of included tables were delivered. */
  hasRows: boolean;
  /** `X'gtrid',X'bqual',format` while inside XA START. */
  xa: string | null;
}

/** Prepared XA transactions without included rows, whose outcome may be ignored; the oldest are forgotten beyond this many. */
const MOST_PREPARED = 10_000;

/** Remembers the XA transactions that this stream saw prepared and found to be of no concern. */
export class IgnorableXaTransactions {
  readonly #xids = new Set<string>();

  add(xid: string): void {
    this.#xids.add(xid);
    if (this.#xids.size <= MOST_PREPARED) return;
    const [oldest] = this.#xids;
    if (oldest !== undefined) this.#xids.delete(oldest);
  }

  /** True once for each that was added. */
  take(xid: string): boolean {
    return this.#xids.delete(xid);
  }
}

/** `XA <verb> X'…',X'…',n` as the server writes it to the log; null for anything else. */
export function parseXaStatement(sql: string): { verb: string; xid: string } | null {
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
