import {
  type ReadRows,
  type Row,
  type RowImages,
  type RowSelection,
  type TableLayout,
  type TableName,
  ValueImages,
  ValueRows,
} from '#change-events';

export interface ChunkRead {
  readonly rows: readonly Row[];
  /** Canonical values of the key of the last row, in key order; null when there was none. */
  readonly lastKey: Row | null;
  /** True when no row of the table comes after these. */
  readonly complete: boolean;
  /** What the rows take in memory, about; more than was received where values are kept beside it. */
  readonly bytes: number;
  /** `gtid_executed` of the server, taken after the SELECT, without white space. */
  readonly high: string;
  /** How long the SELECT took, without what it waited for before; absent where that is not known. */
  readonly selectMs?: number;
}

/** A chunk without its rows as values. */
export interface UndecodedChunk extends Omit<ChunkRead, 'rows'> {
  readonly rows: ReadRows;
}

/** A chunk with its rows as sinks are given them. */
export interface ImagesChunk extends Omit<ChunkRead, 'rows'> {
  readonly rows: RowImages;
}

export interface ChunkRequest {
  readonly layout: TableLayout;
  readonly after: Row | null;
  readonly upTo?: Row | null;
  readonly selection?: RowSelection;
  readonly limit: number;
  readonly maxBytes?: number;
  readonly dispatchedSet: string;
  readonly signal: AbortSignal;
}

export interface KeysRead {
  /** The rows that are there. */
  readonly rows: readonly Row[];
  /** The asked ones that are not. */
  readonly absent: readonly Row[];
  /** The asked ones of which this read says nothing, for its bound was reached: to be asked for again. */
  readonly unanswered: readonly Row[];
  /** As of `ChunkRead`. */
  readonly bytes: number;
  /** As of `ChunkRead`. */
  readonly high: string;
  /** As of `ChunkRead`. */
  readonly selectMs?: number;
}

/**
 * Reads rows of a source's tables, without locks and without writing.
 *
 * Each read of rows has a bound, `maxBytes` (`mostRowBytes` by default), that holds while rows are being received (I9): it ends with the last row that
 * is complete by then, and what the server would still have sent is not received. Where the first row alone goes beyond
 * the bound there is no row, and the caller asks for one row with `mostRowBytes`.
 */
export abstract class RowReader {
  /** Wider rows are read by nobody: a read with this bound that gets no row fails with `DITTO_SOURCE_ROW_TOO_LARGE`. */
  abstract readonly mostRowBytes: number;

  /** GTIDs that are left out of what reads wait for, since only one of the servers can ever have them; '' mostly. */
  findErrant(): string {
    return '';
  }

  /**
   * Layouts as of now of the tables that exist among the included ones; now is not before the server has executed
   * `dispatchedSet`.
   */
  abstract listTables(signal: AbortSignal, dispatchedSet?: string): Promise<readonly TableLayout[]>;
  /** As `listTables`, of one table; null when it does not exist or is not included. Costs the same however many there are. */
  abstract readLayout(table: TableName, signal: AbortSignal, dispatchedSet?: string): Promise<TableLayout | null>;
  /** Whether the server says that there is no such table; no for one that the user may not see. */
  abstract isGone(table: TableName, signal: AbortSignal): Promise<boolean>;
  /** Rough counts from the catalogue, for estimates only: one for each table, in their order. */
  abstract estimateRows(tables: readonly TableName[], signal: AbortSignal): Promise<readonly number[]>;
  /**
   * Text that is equal for two moments exactly when what the layout does not say of the order of keys, their collations,
   * was the same. Chunks that are cut under another order overlap, or leave rows out.
   */
  abstract readKeyOrder(layout: TableLayout, signal: AbortSignal): Promise<string>;

  /**
   * Waits until the server has executed `dispatchedSet`, reads up to `limit` rows, within `maxBytes`, whose key lies
   * after `after` in key order, and not after `upTo` where that is given, then takes `high`. `complete` says then that no
   * row up to `upTo` is left. Where `selection` is given, other rows than those do not count. The layout that the rows follow is the table's own at that moment:
   * when its fingerprint is not `layout.fingerprint` a `DITTO_SOURCE_LAYOUT_CHANGED` error (retriable) is thrown.
   */
  abstract readChunk(request: ChunkRequest): Promise<ChunkRead>;
  /** As `readChunk`, for who needs the values of few rows: those that can't be decoded are found when they are asked for. */
  async readUndecoded(request: ChunkRequest): Promise<UndecodedChunk> {
    const { rows, ...read } = await this.readChunk(request);
    return { ...read, rows: new ValueRows(rows) };
  }
  /** As `readChunk`, for who passes the rows on. Every row is proven to be decodable; nothing is decoded before it is asked for. */
  async readImages(request: ChunkRequest): Promise<ImagesChunk> {
    const { rows, ...read } = await this.readChunk(request);
    return { ...read, rows: new ValueImages(request.layout, rows) };
  }
  /**
   * As `readChunk`, for the rows with the keys of `keys` (rows as `rowOfKey` makes them). A row counts only when its
   * canonical key equals the asked one byte for byte, whatever the column's collation says.
   */
  abstract readKeys(request: {
    readonly layout: TableLayout;
    readonly keys: readonly Row[];
    readonly maxBytes?: number;
    readonly dispatchedSet: string;
    readonly signal: AbortSignal;
  }): Promise<KeysRead>;
  /**
   * Those of `keys` whose rows may be missing, or not belong to `selection`: the others are there at this moment. It reads keys alone and waits for
   * nothing, so it is cheaper than `readKeys`; by default nothing is known of any.
   */
  findAbsent(request: {
    readonly layout: TableLayout;
    readonly keys: readonly Row[];
    readonly selection?: RowSelection;
    readonly signal: AbortSignal;
  }): Promise<readonly Row[]> {
    return Promise.resolve(request.keys);
  }
}
