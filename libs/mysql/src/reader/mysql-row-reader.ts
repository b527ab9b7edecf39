import { type RowDataPacket } from 'mysql2';
import {
  encodeKeyValues,
  GtidSet,
  isSameLayout,
  keyValues,
  type ReadRows,
  type Row,
  type RowSelection,
  tableKey,
  type TableLayout,
  type TableName,
  ValueImages,
  ValueRows,
} from '#change-events';
import { DittoError, type Logger, silentLogger } from '#kernel';
import {
  RowReader,
  type ChunkRead,
  type ChunkRequest,
  type ImagesChunk,
  type KeysRead,
  type UndecodedChunk,
} from '#replication';
import { type MySqlConnectionOptions } from '../connection-options.ts';
import { type Judging, readCatalogue, readCatalogueTables, readRowCounts } from '../layout/catalogue-layout.ts';
import { type ColumnRules, columnRules, type KeyOverrides } from '../layout/column-choice.ts';
import { layoutsOf } from '../layout/table-judgement.ts';
import { TextCodec } from '../codec/text-codec.ts';
import { type MySqlSession } from '../mysql-session.ts';
import { readCharacterSets } from '../values/character-set-facts.ts';
import { type CharacterSetFacts } from '../values/charset.ts';
import { keyIsBehind, keyIsOneOf, keyOrder } from './key-bound.ts';
import { DEFAULT_ROW_BYTES } from '../row-limit.ts';
import { ErrantTransactions } from './errant-transactions.ts';
import { layoutChanged, rowTooLarge } from './read-errors.ts';
import { beginBehind, hasRunSince, readSets, readSetsWithOwned, type Sets, waitUntilVisible } from './read-window.ts';
import { quoteTable } from './quoting.ts';
import { ReaderSessions } from './reader-sessions.ts';
import { isSelected } from './selected-rows.ts';
import { makeSelectList } from './select-list.ts';
import { SelectedTexts } from './selected-texts.ts';
import { TextImages } from './text-images.ts';
import { makeTextList, rowsWithTexts } from './text-list.ts';
import { UnloggedGtids } from './unlogged-gtids.ts';

export interface MySqlRowReaderOptions {
  readonly connection: MySqlConnectionOptions;
  readonly includes: (database: string, table: string) => boolean;
  readonly keys?: KeyOverrides;
  /** Which columns are read; all by default. */
  readonly columns?: ColumnRules['columns'];
  /** The server whose log is streamed, where that is another one. */
  readonly streamed?: MySqlConnectionOptions;
  /** GTIDs that one of the servers lacks, or that the log never gives, and that changed nothing that is included. */
  readonly acceptGtids?: GtidSet;
  /** Whether a table of the database may be included; any by default. */
  readonly reaches?: (database: string) => boolean;
  /**
   * Whether `high` holds also what is visible and not yet in `gtid_executed`, as verification needs it; no by default. A
   * copy does without: it gives such a row early, and the log gives it again.
   */
  readonly highIncludesOwned?: boolean;
  /**
   * Whether rows hold, in place of the values of other columns than the key's, null, and after all columns the texts of
   * their values as the server renders them; no by default. See `serverText`.
   */
  readonly givesTexts?: boolean;
  /**
   * Whether a table may have other columns and another key than the layout that is asked for, if it has all of that; no by
   * default. Verification reads what DSS has adopted, whatever the configuration of its own process selects.
   */
  readonly followsLayout?: boolean;
  /** How long a chunk waits until the server has executed the dispatched set. */
  readonly waitMs?: number;
  /** Rows above this size are not read: no sink could take them. */
  readonly maxRowBytes?: number;
  readonly logger?: Logger;
}

/** A read that is bound by the bytes of its rows. */
interface BoundedRequest {
  readonly layout: TableLayout;
  readonly maxBytes?: number;
  readonly overhead: Overhead;
  readonly dispatchedSet: string;
  readonly signal: AbortSignal;
}

interface SelectedRows {
  readonly rows: ReadRows;
  readonly bytes: number;
  readonly isCut: boolean;
  readonly selectMs: number;
}

interface BehindRead extends SelectedRows {
  readonly high: string;
}

interface CreateTableRow extends RowDataPacket {
  readonly 'Create Table': string;
}

interface CollationRow extends RowDataPacket {
  readonly name: string;
  readonly collationName: string | null;
}

const DEFAULT_WAIT_MS = 30_000;
/** What a row takes in memory, and each of its values in addition to its bytes. */
interface Overhead {
  readonly rowBytes: number;
  readonly valueBytes: number;
}
const AS_VALUES: Overhead = { rowBytes: 48, valueBytes: 24 };
const AS_TEXTS: Overhead = { rowBytes: 8, valueBytes: 8 };
const MISSING: ReadonlySet<unknown> = new Set(['ER_NO_SUCH_TABLE', 'ER_BAD_DB_ERROR']);
const MISSING_COLUMN = 'ER_BAD_FIELD_ERROR';

/**
 * Reads chunks over connections of its own, one for each read that runs at the same time; they are kept for the next
 * reads until `close`. A broken connection fails the read with a retriable error; the next read opens another.
 */
export class MySqlRowReader extends RowReader {
  readonly mostRowBytes: number;
  readonly #options: MySqlRowReaderOptions;
  readonly #rules: ColumnRules;
  readonly #sessions: ReaderSessions;
  #facts: CharacterSetFacts | null = null;
  readonly #codecs = new WeakMap<TableLayout, TextCodec>();
  /** Definitions known to have the layout of that fingerprint. */
  readonly #definitions = new Map<string, string>();
  readonly #unlogged: UnloggedGtids;
  /** Null where the server that is read is the one that is streamed. */
  readonly #errant: ErrantTransactions | null;

  constructor(options: MySqlRowReaderOptions) {
    super();
    this.#options = options;
    this.mostRowBytes = options.maxRowBytes ?? DEFAULT_ROW_BYTES;
    this.#rules = columnRules(options);
    const { streamed, connection, includes, acceptGtids = GtidSet.empty, logger = silentLogger } = options;
    const { reaches = () => true } = options;
    this.#sessions = new ReaderSessions(connection);
    this.#unlogged = new UnloggedGtids(acceptGtids);
    this.#errant =
      streamed === undefined
        ? null
        : new ErrantTransactions({ read: connection, streamed, accepted: acceptGtids, includes, reaches, logger });
  }

  override findErrant(): string {
    return this.#errant?.gtids.toString() ?? '';
  }

  override async listTables(signal: AbortSignal, dispatchedSet = ''): Promise<readonly TableLayout[]> {
    return this.#sessions.use(signal, async (session) => {
      await this.#behind(dispatchedSet, signal, (set) => waitUntilVisible(session, set, this.#waitMs, signal));
      return layoutsOf(await readCatalogue(session, this.#options.includes, await this.#judging(session)));
    });
  }

  override async isGone({ database, table }: TableName, signal: AbortSignal): Promise<boolean> {
    return this.#sessions.use(signal, async (session) => {
      try {
        await session.query(`SELECT 1 FROM ${quoteTable(database, table)} LIMIT 0`);
        return false;
      } catch (error) {
        if (MISSING.has(codeOf(error))) return true;
        throw error;
      }
    });
  }

  override async readLayout(table: TableName, signal: AbortSignal, dispatchedSet = ''): Promise<TableLayout | null> {
    if (!this.#options.includes(table.database, table.table)) return null;
    return this.#sessions.use(signal, async (session) => {
      await this.#behind(dispatchedSet, signal, (set) => waitUntilVisible(session, set, this.#waitMs, signal));
      const [layout = null] = layoutsOf(await readCatalogueTables(session, [table], await this.#judging(session)));
      return layout;
    });
  }

  override async estimateRows(tables: readonly TableName[], signal: AbortSignal): Promise<readonly number[]> {
    return this.#sessions.use(signal, (session) => readRowCounts(session, tables));
  }

  /** Asked only where a key has text: all else has one order. */
  override async readKeyOrder({ database, table, columns, key }: TableLayout, signal: AbortSignal): Promise<string> {
    const texts = key.map((index) => columns[index]).filter((column) => column?.kind === 'text');
    if (texts.length === 0) return '';
    const rows = await this.#sessions.use(signal, (session) =>
      session.query<CollationRow>(
        `SELECT COLUMN_NAME AS name, COLLATION_NAME AS collationName FROM information_schema.COLUMNS
         WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?`,
        [database, table],
      ),
    );
    const collations = new Map(rows.map(({ name, collationName }) => [name, collationName]));
    return texts.map((column) => collations.get(column?.name ?? '') ?? '').join();
  }

  override async readChunk(request: ChunkRequest): Promise<ChunkRead> {
    const { rows, ...read } = await this.#readChunk(request, AS_VALUES);
    return { ...read, rows: decodeAll(rows) };
  }

  override readUndecoded(request: ChunkRequest): Promise<UndecodedChunk> {
    return this.#readChunk(request, AS_TEXTS);
  }

  /** Rows that a sink makes values of take as much as rows of values. */
  override async readImages(request: ChunkRequest): Promise<ImagesChunk> {
    const { layout } = request;
    const { rows, ...read } = await this.#readChunk(request, AS_VALUES);
    if (!(rows instanceof SelectedTexts)) return { ...read, rows: new ValueImages(layout, decodeAll(rows)) };
    const images = new TextImages(layout, rows, this.#codecOf(layout, rows));
    return { ...read, rows: images, bytes: read.bytes + images.keptBytes };
  }

  #codecOf(layout: TableLayout, { columns }: SelectedTexts): TextCodec {
    let codec = this.#codecs.get(layout);
    if (codec === undefined) {
      codec = new TextCodec(layout, columns);
      this.#codecs.set(layout, codec);
    }
    return codec;
  }

  async #readChunk(request: ChunkRequest, overhead: Overhead): Promise<UndecodedChunk> {
    const { layout, after, upTo = null, selection, limit } = request;
    const where = (): string => {
      const bounds = [
        ...(selection === undefined ? [] : [`(${isSelected(layout, selection)})`]),
        ...(after === null ? [] : [`(${keyIsBehind(layout, after)})`]),
        ...(upTo === null ? [] : [`NOT (${keyIsBehind(layout, upTo)})`]),
      ];
      return bounds.length === 0 ? '' : ` WHERE ${bounds.join(' AND ')}`;
    };
    const { rows, isCut, bytes, high, selectMs } = await this.#readBehind(
      { ...request, overhead },
      () => `${where()} ORDER BY ${keyOrder(layout)} LIMIT ${limit}`,
    );
    return {
      rows,
      lastKey: rows.count === 0 ? null : keyValues(layout, rows.row(rows.count - 1)),
      complete: !isCut && rows.count < limit,
      bytes,
      high,
      selectMs,
    };
  }

  override async readKeys(request: {
    readonly layout: TableLayout;
    readonly keys: readonly Row[];
    readonly maxBytes?: number;
    readonly dispatchedSet: string;
    readonly signal: AbortSignal;
  }): Promise<KeysRead> {
    const { layout, keys } = request;
    const { rows, isCut, bytes, high, selectMs } = await this.#readBehind(
      { ...request, overhead: AS_VALUES },
      () => ` WHERE ${keyIsOneOf(layout, keys)}`,
    );
    const others = new Map(keys.map((key) => [encodeKeyValues(layout, key), key]));
    const found = decodeAll(rows).filter((row) => others.delete(encodeKeyValues(layout, row)));
    const rest = [...others.values()];
    return { rows: found, absent: isCut ? [] : rest, unanswered: isCut ? rest : [], bytes, high, selectMs };
  }

  override async findAbsent(request: {
    readonly layout: TableLayout;
    readonly keys: readonly Row[];
    readonly selection?: RowSelection;
    readonly signal: AbortSignal;
  }): Promise<readonly Row[]> {
    const { layout, keys, selection, signal } = request;
    const { key } = layout;
    const columns = key.map((index) => layout.columns[index]).filter((column) => column !== undefined);
    const keyLayout: TableLayout = { ...layout, columns, key: [...columns.keys()] };
    if (keys.length === 0) return [];
    const absent = new Map(keys.map((one) => [encodeKeyValues(layout, one), one]));
    const isOneOf = keyIsOneOf(layout, keys);
    const where = selection === undefined ? isOneOf : `(${isOneOf}) AND (${isSelected(layout, selection)})`;
    const read = this.#sessions.use(signal, async (session) => {
      const facts = await this.#readFacts(session);
      const list = makeSelectList(keyLayout, { kind: session.kind, facts });
      const read = await session.queryRows(
        `SELECT ${list.sql} FROM ${quoteTable(layout.database, layout.table)} WHERE ${where}`,
        { bytes: this.mostRowBytes, overheadBytes: overheadOf(AS_VALUES, columns.length) },
      );
      return decodeAll(new SelectedTexts(layout, list.columns, read));
    });
    try {
      for (const row of await read) absent.delete(encodeKeyValues(keyLayout, row));
    } catch (error) {
      // another table than the layout says: whoever reads the rows finds out
      if (!MISSING.has(codeOf(error)) && codeOf(error) !== MISSING_COLUMN) throw error;
    }
    return [...absent.values()];
  }

  /** `clause`: what follows the table in the SELECT. */
  async #readBehind(request: BoundedRequest, clause: () => string): Promise<BehindRead> {
    const { layout } = request;
    if (layout.key.length === 0) {
      throw new DittoError('DITTO_SOURCE_NO_KEY', `${layout.database}.${layout.table} has no key to read it by`, {
        context: { database: layout.database, table: layout.table },
      });
    }
    return this.#readOnce(request, clause());
  }

  async #readOnce(request: BoundedRequest, clause: string): Promise<BehindRead> {
    const { layout, dispatchedSet, signal } = request;
    const startedAtMs = performance.now();
    const { sets, server, ...read } = await this.#sessions.use(signal, async (session) => {
      await this.#behind(dispatchedSet, signal, (set) => beginBehind(session, set, this.#waitMs, signal));
      // from here on the transaction keeps the table's definition from changing
      await session.query(`SELECT 1 FROM ${quoteTable(layout.database, layout.table)} LIMIT 0`);
      await this.#assertLayout(session, layout);
      const read = await this.#select(session, request, clause);
      if (read.isCut) return { ...read, sets: null, server: session.identity.server };
      const sets = await this.#readSets(session);
      await session.query('COMMIT');
      return { ...read, sets, server: session.identity.server };
    });
    const seen = sets ?? (await this.#readSetsOf(server, startedAtMs, signal));
    const high =
      this.#errant === null
        ? this.#unlogged.loggedOf(seen, dispatchedSet)
        : await this.#errant.reachable(seen.executed, this.#waitMs, signal);
    return { ...read, high };
  }

  /** On another session than the read, which must be one of the same server, and of the same run of it. */
  async #readSetsOf(server: string, startedAtMs: number, signal: AbortSignal): Promise<Sets> {
    return this.#sessions.use(signal, async (session) => {
      const sets = await this.#readSets(session);
      if (session.identity.server !== server || !(await hasRunSince(session, startedAtMs)))
        throw new DittoError(
          'DITTO_SOURCE_CONNECTION_LOST',
          'the server was started again, or another one answered, in the middle of a read',
          {
            retriable: true,
            context: { server, other: session.identity.server },
          },
        );
      return sets;
    });
  }

  #readSets(session: MySqlSession): Promise<Sets> {
    return this.#options.highIncludesOwned === true ? readSetsWithOwned(session) : readSets(session);
  }

  get #waitMs(): number {
    return this.#options.waitMs ?? DEFAULT_WAIT_MS;
  }

  /** Waits for `dispatchedSet`, as far as the server can ever have it. */
  async #behind(dispatchedSet: string, signal: AbortSignal, wait: (set: string) => Promise<void>): Promise<void> {
    const errant = this.#errant;
    try {
      await wait(errant?.expectedOf(dispatchedSet) ?? dispatchedSet);
    } catch (error) {
      const wasExpected = errant?.expectedOf(dispatchedSet);
      if (errant === null || !(error instanceof DittoError) || error.code !== 'DITTO_SOURCE_BEHIND') throw error;
      await errant.examine(signal);
      if (errant.expectedOf(dispatchedSet) === wasExpected) throw error;
      await wait(errant.expectedOf(dispatchedSet));
    }
  }

  /** Lets go of all connections; reads that run are rejected. */
  close(): void {
    this.#errant?.close();
    this.#sessions.close();
  }

  async #readFacts(session: MySqlSession): Promise<CharacterSetFacts> {
    return (this.#facts ??= await readCharacterSets(session));
  }

  async #judging(session: MySqlSession): Promise<Judging> {
    return { rules: this.#rules, facts: await this.#readFacts(session) };
  }

  async #select(session: MySqlSession, request: BoundedRequest, clause: string): Promise<SelectedRows> {
    const { layout, overhead, maxBytes = this.mostRowBytes } = request;
    const facts = await this.#readFacts(session);
    const { givesTexts = false } = this.#options;
    const list = (givesTexts ? makeTextList : makeSelectList)(layout, { kind: session.kind, facts });
    const startedAtMs = performance.now();
    const read = await session.queryRows(
      `SELECT ${list.sql} FROM ${quoteTable(layout.database, layout.table)}${clause}`,
      { bytes: maxBytes, overheadBytes: overheadOf(overhead, layout.columns.length) },
    );
    const selectMs = performance.now() - startedAtMs;
    const { bytes, isCut } = read;
    const texts = new SelectedTexts(layout, list.columns, read);
    if (isCut && texts.count === 0 && maxBytes >= this.mostRowBytes) throw rowTooLarge(layout, this.mostRowBytes);
    const rows = givesTexts ? new ValueRows(rowsWithTexts(layout, texts)) : texts;
    return { rows, bytes, isCut, selectMs };
  }

  async #assertLayout(session: MySqlSession, layout: TableLayout): Promise<void> {
    const [row] = await session.query<CreateTableRow>(`SHOW CREATE TABLE ${quoteTable(layout.database, layout.table)}`);
    const definition = (row?.['Create Table'] ?? '').replace(/ AUTO_INCREMENT=\d+/, '');
    if (this.#definitions.get(layout.fingerprint) === definition) return;
    const { rules, facts } = await this.#judging(session);
    const judging = { facts, rules: this.#options.followsLayout === true ? rulesOf(layout) : rules };
    const [found] = await readCatalogueTables(session, [layout], judging);
    if (found?.layout == null || !isSameLayout(found.layout, layout)) throw layoutChanged(layout);
    this.#definitions.set(layout.fingerprint, definition);
  }
}

/** The rules that select the columns and the key of a layout from its table. */
function rulesOf(layout: TableLayout): ColumnRules {
  const names = new Set(layout.columns.map(({ name }) => name));
  const key = layout.key.map((index) => layout.columns[index]?.name ?? '');
  return { keys: new Map([[tableKey(layout), key]]), columns: (_database, _table, column) => names.has(column) };
}

function decodeAll(rows: ReadRows): Row[] {
  return Array.from({ length: rows.count }, (_, i) => rows.row(i));
}

function overheadOf({ rowBytes, valueBytes }: Overhead, values: number): number {
  return rowBytes + values * valueBytes;
}

/** The server's own code of an error that was classified. */
function codeOf(error: unknown): unknown {
  return ((error as Error).cause as { code?: unknown } | undefined)?.code;
}
