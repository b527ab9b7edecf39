import { type FilePosition, compareBinlogFiles, encodeKeyValues, type Row, type TableLayout } from '#change-events';
import { findReason, type Logger, toDittoError } from '#kernel';
import { type SourceBatch, type SourceItem, type SourceTransaction } from '#replication';
import { type MySqlConnectionOptions } from '../connection-options.ts';
import { MySqlEndpoint } from '../endpoint/mysql-endpoint.ts';
import { type ColumnRuleOptions } from '../layout/column-choice.ts';
import { LogProof } from './log-proof.ts';
import { MySqlChangeSource } from './mysql-change-source.ts';

export interface KeyLogOptions extends ColumnRuleOptions {
  readonly connection: MySqlConnectionOptions;
  readonly logger: Logger;
}

export interface KeyLogRequest {
  /** Where a transaction begins or ended; with the server whose log it is a place of. */
  readonly from: Omit<FilePosition, 'gtidSet'>;
  /** Names the table, and the columns of the key. */
  readonly layout: TableLayout;
  /** Rows as `rowOfKey` makes them. */
  readonly keys: readonly Row[];
  /** Where the last transaction of interest begins; by default the reading ends with the log. */
  readonly until?: Pick<FilePosition, 'file' | 'offset'>;
  readonly mostBytes: number;
  readonly mostMs: number;
  readonly signal: AbortSignal;
  readonly onChange: (change: LoggedChange) => void;
}

/** One change of a key. A row that gets another key is deleted here, or created here. */
export interface LoggedChange {
  readonly op: 'create' | 'update' | 'delete';
  /** As `encodeKeyValues`. */
  readonly key: string;
  readonly transaction: SourceTransaction;
  readonly rowIndex: number;
  /** By which the images are decoded; not always the layout that was asked with. */
  readonly layout: TableLayout;
  readonly before: Row | null;
  readonly after: Row | null;
}

/** How far the log was read. */
export interface KeyLogEnd {
  readonly bytes: number;
  readonly transactions: number;
  /** After the last transaction that was read as a whole. */
  readonly file: string;
  readonly offset: number;
  /** Why that is before the end that the log had when the reading began; null when it is not. */
  readonly cutBecause: string | null;
}

/** Reads what the log of a server says of some rows of a table, over a short-lived dump with a `server_id` of its own. */
export class KeyLog {
  readonly #options: KeyLogOptions;

  constructor(options: KeyLogOptions) {
    this.#options = options;
  }

  /**
   * From a place to the end that the log has now, in log order. Throws a coded error when nothing of it can be read: the
   * place is purged, no place of this log, or another server answers. What stops it later is `cutBecause`.
   */
  async read(request: KeyLogRequest): Promise<KeyLogEnd> {
    const { from, layout, signal, mostBytes, mostMs } = request;
    const late = AbortSignal.timeout(mostMs);
    const isTable = (database: string, table: string): boolean =>
      database === layout.database && table === layout.table;
    const source = new MySqlChangeSource(this.#options);
    const stream = source.stream({
      from: { ...from, gtidSet: null },
      includes: isTable,
      signal: AbortSignal.any([signal, late]),
    });
    const end = await this.#findEnd(AbortSignal.any([signal, late]));
    const reading = new KeyReading(request, end);
    if (isBehind(from, end)) return reading.end(null);
    try {
      for await (const batch of stream) {
        if (reading.take(batch)) return reading.end(null);
        if (reading.bytes > mostBytes) return reading.end(`more than ${mostBytes} bytes of the log were read`);
      }
    } catch (error) {
      if (reading.transactions === 0) throw error;
      const { code } = toDittoError(error);
      return reading.end(`${code}: ${findReason(error)}`);
    }
    signal.throwIfAborted();
    return reading.end(`it took longer than ${mostMs} ms`);
  }

  /** The last transaction; where no user may look for it, the end of the newest file. */
  async #findEnd(signal: AbortSignal): Promise<LogEnd> {
    const { connection } = this.#options;
    const inspected = await new MySqlEndpoint(connection).inspect(signal);
    const last = await new LogProof(connection).findLast(inspected, signal);
    const { serverUuid, logEnd } = inspected;
    return { serverUuid, end: logEnd, last };
  }
}

interface LogEnd {
  readonly serverUuid: string;
  readonly end: Place;
  /** Where the last transaction begins; null when that is not known. */
  readonly last: Place | null;
}

type Place = Pick<FilePosition, 'file' | 'offset'>;

/** The place is one of this log, and no transaction follows: a stream would wait for the next one. */
function isBehind(from: KeyLogRequest['from'], { serverUuid, end, last }: LogEnd): boolean {
  if (from.serverUuid !== serverUuid || comparePlaces(from, end) > 0) return false;
  return comparePlaces(from, end) === 0 || (last !== null && comparePlaces(from, last) > 0);
}

function comparePlaces(a: Place, b: Place): number {
  return compareBinlogFiles(a.file, b.file) || a.offset - b.offset;
}

class KeyReading {
  transactions = 0;
  /** Of complete transactions by their places: batches do not count what is not included. */
  #passed = 0;
  /** Of the batches since. */
  #pending = 0;
  readonly #request: KeyLogRequest;
  readonly #keys: ReadonlySet<string>;
  readonly #end: LogEnd;
  #open: SourceTransaction | null = null;
  #file: string;
  #offset: number;

  constructor(request: KeyLogRequest, end: LogEnd) {
    this.#request = request;
    this.#keys = new Set(request.keys.map((key) => encodeKeyValues(request.layout, key)));
    this.#end = end;
    this.#file = request.from.file;
    this.#offset = request.from.offset;
  }

  get bytes(): number {
    return this.#passed + this.#pending;
  }

  /** True at the end of what is to be read. */
  take({ items, bytes }: SourceBatch): boolean {
    this.#pending += bytes;
    for (const item of items) {
      if (item.type === 'begin') this.#open = item.transaction;
      else if (item.type === 'rows') this.#takeRows(item);
      else if (item.type === 'end' && this.#takeEnd(item)) return true;
    }
    return false;
  }

  end(cutBecause: string | null): KeyLogEnd {
    const { bytes, transactions } = this;
    return { bytes, transactions, file: this.#file, offset: this.#offset, cutBecause };
  }

  #takeEnd({ file, endOffset }: Extract<SourceItem, { type: 'end' }>): boolean {
    this.transactions++;
    this.#passed += file === this.#file ? endOffset - this.#offset : endOffset;
    this.#pending = 0;
    this.#file = file;
    this.#offset = endOffset;
    const { last, end } = this.#end;
    const { until } = this.#request;
    if (until !== undefined && this.#open !== null && comparePlaces(this.#open, until) >= 0) return true;
    if (last === null) return comparePlaces({ file, offset: endOffset }, end) >= 0;
    return this.#open !== null && comparePlaces(this.#open, last) >= 0;
  }

  #takeRows({ layout, before, after, firstRowIndex, op }: Extract<SourceItem, { type: 'rows' }>): void {
    const transaction = this.#open;
    if (transaction === null) return;
    const count = (after ?? before)?.count ?? 0;
    for (let i = 0; i < count; i++) {
      const had = before?.row(i) ?? null;
      const has = after?.row(i) ?? null;
      const left = had === null ? null : this.#findKey(layout, had);
      const made = has === null ? null : this.#findKey(layout, has);
      const change = { transaction, rowIndex: firstRowIndex + i, layout };
      if (left !== null && left === made) this.#request.onChange({ ...change, key: left, op, before: had, after: has });
      else {
        if (left !== null) this.#request.onChange({ ...change, key: left, op: 'delete', before: had, after: null });
        if (made !== null) this.#request.onChange({ ...change, key: made, op: 'create', before: null, after: has });
      }
    }
  }

  /** Null for a key that was not asked for. */
  #findKey(layout: TableLayout, row: Row): string | null {
    const key = encodeKeyValues(layout, row);
    return this.#keys.has(key) ? key : null;
  }
}
