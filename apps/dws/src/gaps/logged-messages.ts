import {
  type BigintMode,
  changeId,
  changeVersion,
  keyText,
  type LoggedTransaction,
  type Position,
  type RowImages,
  tableKey,
  type TableLayout,
  type TransactionInfo,
  versionPrefix,
} from '#change-events';
import { findReason, isAbort, toDittoError } from '#kernel';
import { type ChangeSource, type SourceBatch, type SourceItem, type SourceTransaction } from '#replication';

/** A message that a change of the log must have. A row that gets another key has two: a delete, and a create. */
export interface LoggedMessage {
  /** `ditto.id` */
  readonly id: string;
  readonly version: string;
  /** Of the message. */
  readonly key: string;
  readonly op: 'create' | 'update' | 'delete';
  readonly rowIndex: number;
  readonly transaction: SourceTransaction;
}

export interface LoggedTable {
  /** Of the first change; each change of the table has the same key columns. */
  readonly layout: TableLayout;
  readonly messages: LoggedMessage[];
}

export interface LoggedRange {
  /** By `tableKey`; without tables that have no key. */
  readonly tables: ReadonlyMap<string, LoggedTable>;
  /** Changes of tables without a key. */
  readonly keyless: number;
  readonly bytes: number;
  /** Why it was not read to its end: a bound, or the error of the server; null when it was. */
  readonly cutBecause: string | null;
}

export interface LoggedRangeRequest {
  readonly from: Position;
  /** The transaction that `from` ends with; null when it is not known. */
  readonly proof: LoggedTransaction | null;
  readonly lineage: number;
  /** Version of the end of the last transaction that is wanted. */
  readonly upTo: string;
  readonly includes: (database: string, table: string) => boolean;
  readonly bigint: BigintMode;
  readonly mostBytes: number;
  readonly mostMs: number;
  readonly mostMessages: number;
  readonly signal: AbortSignal;
}

const PREFIX_DIGITS = 28;

/** Reads which messages the changes of a range of the log must have, up to the first of the bounds. */
export async function readLoggedMessages(
  source: Pick<ChangeSource, 'stream'>,
  request: LoggedRangeRequest,
): Promise<LoggedRange> {
  const { from, proof, includes, mostBytes, mostMs, mostMessages, signal } = request;
  const late = AbortSignal.timeout(mostMs);
  const reading = new Reading(request);
  const stream = source.stream({ from, proof: [proof], includes, signal: AbortSignal.any([signal, late]) });
  try {
    for await (const batch of stream) {
      if (reading.take(batch)) return reading.end(reading.isOther ? 'another log' : null);
      if (reading.bytes > mostBytes || reading.count > mostMessages) return reading.end('too much log');
    }
  } catch (error) {
    const { code, retriable } = toDittoError(error);
    if (isAbort(error) || retriable) throw error;
    return reading.end(`${code}: ${findReason(error)}`);
  }
  signal.throwIfAborted();
  return reading.end('too long');
}

class Reading {
  bytes = 0;
  count = 0;
  /** Whether another server answered. */
  isOther = false;
  readonly #request: LoggedRangeRequest;
  readonly #tables = new Map<string, LoggedTable>();
  readonly #last: string;
  #keyless = 0;
  #open: { readonly transaction: SourceTransaction; readonly info: TransactionInfo } | null = null;

  constructor(request: LoggedRangeRequest) {
    this.#request = request;
    this.#last = request.upTo.slice(0, PREFIX_DIGITS);
  }

  /** True at the end of the range. */
  take({ items, bytes }: SourceBatch): boolean {
    this.bytes += bytes;
    for (const item of items) {
      if (item.type === 'begin') {
        const { transaction } = item;
        // its places say nothing of those of the range
        if (transaction.serverUuid !== this.#request.from.serverUuid) {
          this.isOther = true;
          return true;
        }
        const prefix = versionPrefix(this.#request.lineage, transaction.file, transaction.offset);
        // what is not covered yet need not have its messages
        if (prefix > this.#last) return true;
        this.#open = { transaction, info: { ...transaction, versionPrefix: prefix } };
      } else if (item.type === 'rows') this.#takeRows(item);
      else if (item.type === 'end' && this.#open?.info.versionPrefix === this.#last) return true;
    }
    return false;
  }

  end(cutBecause: string | null): LoggedRange {
    return { tables: this.#tables, keyless: this.#keyless, bytes: this.bytes, cutBecause };
  }

  #takeRows({ op, layout, before, after, firstRowIndex }: Extract<SourceItem, { type: 'rows' }>): void {
    const count = (after ?? before)?.count ?? 0;
    if (layout.key.length === 0) {
      this.#keyless += count;
      return;
    }
    for (let i = 0; i < count; i++) {
      const rowIndex = firstRowIndex + i;
      const had = before && this.#keyOf(before, i);
      const has = after && this.#keyOf(after, i);
      if (had === null || has === null || had === has) this.#add(layout, op, rowIndex, has ?? had ?? '', false);
      else {
        this.#add(layout, 'delete', rowIndex, had, true);
        this.#add(layout, 'create', rowIndex, has, true);
      }
    }
  }

  #keyOf(images: RowImages, index: number): string {
    return keyText(images, index, this.#request.bigint, 'utf8');
  }

  #add(layout: TableLayout, op: LoggedMessage['op'], rowIndex: number, key: string, isHalfOfKeyChange: boolean): void {
    if (this.#open === null) return;
    const { transaction, info } = this.#open;
    const place = { transaction: info, rowIndex, readSequence: 0, windowId: null };
    const change = { op, layout, before: null, after: null, isHalfOfKeyChange, ...place };
    const message = { id: changeId(change), version: changeVersion(change), key, op, rowIndex, transaction };
    const name = tableKey(layout);
    const table = this.#tables.get(name) ?? { layout, messages: [] };
    this.#tables.set(name, table);
    table.messages.push(message);
    this.count++;
  }
}
