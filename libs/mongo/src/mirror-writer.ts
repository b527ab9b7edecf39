import {
  changeAt,
  changeId,
  changeVersion,
  encodeKeyValues,
  keyChanged,
  type Row,
  type RowChange,
  type RowChanges,
  type TableChange,
  type TableLayout,
  type TransactionInfo,
} from '#change-events';
import { DittoError, dropWide, type Logger, ServerWait } from '#kernel';
import {
  type Acknowledgement,
  Admission,
  ChangeSink,
  LaneSet,
  type QuarantinedKey,
  QuarantinedKeys,
  showRow,
  type SinkOpenOptions,
  type SinkStatus,
} from '#replication';
import { type mongo } from 'mongoose';
import { encodeBatch, type EncodedPart, type RefusedEntry } from './encoded-batch.ts';
import { type GuardedResult, type GuardedWrite, MAX_COMMAND_WRITES, writeGuarded } from './guarded-write.ts';
import { type CollapsedEntry, type KeyChange, type MirrorEntry } from './mirror-batch.ts';
import { chooseLane } from './mirror-lanes.ts';
import { mirrorDatabase, type MirrorTable, MirrorTables } from './mirror-tables.ts';
import { type MongoConnection } from './mongo-connection.ts';
import { isTimeout } from './mongo-errors.ts';
import { IndexBuilding } from './index-building.ts';
import { prepareCollection } from './mirror-indexes.ts';
import { TableEnding } from './table-ending.ts';
import { WRITE_CONCERN_TIMEOUT_MS } from './write-command.ts';

/** What a change takes while it is sent where its row is a wide one. */
const WIDE_BYTES = 1024 * 1024;

export interface MirrorWriterOptions {
  readonly connection: MongoConnection;
  readonly source: string;
  /** Stands before the source's name in the name of its database. Default ''. */
  readonly databasePrefix?: string;
  /** Bulk writes that may be under way at once. Default 4. */
  readonly lanes?: number;
  /** Changes in one bulk write at most. Default 1,000. */
  readonly maxBatchChanges?: number;
  /** Estimated bytes in one bulk write at most. Default 8 MiB. */
  readonly maxBatchBytes?: number;
  /** Members that must confirm. Default `majority`. */
  readonly writeConcern?: 'majority' | number;
  /** How long the server may wait for them before a batch is given again. Default 10,000. */
  readonly writeConcernTimeoutMs?: number;
  readonly backoff?: { readonly initialMs: number; readonly maxMs: number };
  /** Asked when changes are accepted: whether repeats of this transaction are expected. */
  readonly isReplaying: (transaction: TransactionInfo) => boolean;
  readonly logger: Logger;
  readonly nowMs?: () => number;
}

interface WrittenPart {
  /** What a newer document refused. */
  readonly rejected: readonly MirrorEntry[];
  readonly refused: readonly RefusedEntry[];
}

/**
 * Keeps the mirror of one source: one document for each row, overwritten only by a newer
 * version (I3), deleted rows as tombstones.
 *
 * The lane of a change is chosen by collection and key; a lane has one batch under way. A batch is collapsed to the
 * last change of each key and sent as one guarded write for each collection. Nothing depends on the order between
 * lanes or batches: the guard lets the highest version win.
 *
 * A table without a key is not mirrored: its changes are acknowledged and left out.
 */
export class MirrorWriter extends ChangeSink {
  readonly name = 'mongo';
  readonly #options: Required<Omit<MirrorWriterOptions, 'databasePrefix'>>;
  readonly #db: mongo.Db;
  readonly #lanes: LaneSet<MirrorEntry>;
  readonly #server: ServerWait;
  readonly #writeConcern: mongo.WriteConcernSettings;
  readonly #tables = new MirrorTables();
  #maxCommandWrites = MAX_COMMAND_WRITES;
  readonly #closing = new AbortController();
  readonly #building: IndexBuilding;
  #onFatal: (error: Error) => void = () => undefined;
  #refuse: SinkOpenOptions['refuse'] = (_refused, error) => Promise.reject(error);
  #quarantined = new QuarantinedKeys();
  #fatal: DittoError | null = null;
  #accepted = 0;
  #confirmed = 0;
  #rejectedOutsideReplay = 0;
  #rejectedInReplay = 0;

  constructor(options: MirrorWriterOptions) {
    super();
    this.#options = {
      lanes: 4,
      maxBatchChanges: 1000,
      maxBatchBytes: 8 * 1024 * 1024,
      writeConcern: 'majority',
      writeConcernTimeoutMs: WRITE_CONCERN_TIMEOUT_MS,
      backoff: { initialMs: 50, maxMs: 2000 },
      nowMs: Date.now,
      ...options,
    };
    const { connection, writeConcern, writeConcernTimeoutMs, maxBatchBytes, maxBatchChanges, backoff, logger } =
      this.#options;
    this.#db = connection.db(mirrorDatabase(options));
    this.#writeConcern = { w: writeConcern, wtimeout: writeConcernTimeoutMs };
    this.#lanes = new LaneSet<MirrorEntry>({
      deliver: (_lane, entries) => this.#deliver(entries),
      maxBatchBytes,
      maxBatchEntries: maxBatchChanges,
      backoff,
      logger,
      onFatal: (error) => this.#fail(error),
    });
    this.#server = new ServerWait({ backoff, logger });
    this.#building = new IndexBuilding({ db: this.#db, backoff, logger, signal: this.#closing.signal });
  }

  /** Waits until the server answers. */
  async open({ onFatal, refuse, quarantined, mayDeliver, signal }: SinkOpenOptions): Promise<void> {
    this.#onFatal = onFatal;
    this.#refuse = refuse;
    this.#quarantined = quarantined;
    this.#lanes.guardWith(mayDeliver);
    await this.#keepTrying(() => this.#options.connection.ping(), signal);
  }

  /**
   * Creates the collection with its indexes. A collection that is there and lacks one (of an older Ditto) does not wait:
   * the server builds it while the table is written, one collection after the other.
   */
  async prepareTable(layout: TableLayout): Promise<void> {
    const table = this.#tables.find(layout);
    if (!table.encoder.isKeyed) {
      this.#options.logger.warn('a table without a key is not mirrored', {
        database: layout.database,
        table: layout.table,
      });
      return;
    }
    const { name } = table.collection;
    if (!(await this.#keepTrying(() => prepareCollection(this.#db, name), this.#closing.signal)))
      this.#building.start(name);
  }

  accept(changes: RowChanges, acknowledgement: Acknowledgement): void {
    if (this.#fatal !== null) return;
    const { count, layout, transaction } = changes;
    const table = this.#tables.find(layout);
    if (!table.encoder.isKeyed) {
      this.#accepted += count;
      this.#confirmed += count;
      acknowledgement.acknowledge(count);
      return;
    }
    const isReplaying = this.#options.isReplaying(transaction);
    for (let i = 0; i < count; i++) {
      this.#push(table, changeAt(changes, i), isReplaying, acknowledgement);
      this.#accepted++;
    }
  }

  flush(): void {
    this.#lanes.flush();
  }

  drain(signal: AbortSignal): Promise<void> {
    return this.#lanes.drain(signal);
  }

  async applyTableChange(change: TableChange): Promise<void> {
    // a layout without a key, too: the catalogue may be ahead of the log, where the table still had one
    const { collection } = this.#tables.find(change.layout);
    const db = this.#db;
    const writeConcern = this.#writeConcern;
    const ending = new TableEnding({
      db,
      collection: collection.name,
      change,
      version: changeVersion(change),
      deletedAtMs: this.#options.nowMs(),
      writeConcern,
    });
    await this.#keepTrying(() => ending.run(), this.#closing.signal);
  }

  get bytesInFlight(): number {
    return this.#lanes.bytesInFlight;
  }

  status(): SinkStatus {
    return {
      bytesInFlight: this.#lanes.bytesInFlight,
      changesInFlight: this.#accepted - this.#confirmed,
      confirmedChanges: this.#confirmed,
      retries: this.#lanes.retries + this.#server.retries,
      counters: { rejectedOutsideReplay: this.#rejectedOutsideReplay, rejectedInReplay: this.#rejectedInReplay },
      holdingBecause: this.#lanes.holdingBecause ?? this.#server.because,
    };
  }

  /** The connection is not this writer's own and stays open. */
  close(): Promise<void> {
    this.#closing.abort(new DittoError('DITTO_MONGO_CLOSED', 'the mirror writer was closed'));
    this.#lanes.close();
    return Promise.resolve();
  }

  #push(table: MirrorTable, change: RowChange, isReplaying: boolean, acknowledgement: Acknowledgement): void {
    const { before, after } = change;
    const newest = after ?? before;
    if (newest === null)
      throw new DittoError('DITTO_MONGO_CHANGE_EMPTY', 'a change has neither a row before nor after it');
    const keyChange: KeyChange | null = keyChanged(change) ? { unconfirmed: 2 } : null;
    const bytes =
      256 +
      (before === null ? 0 : table.encoder.rowBytes(before)) +
      (after === null ? 0 : table.encoder.rowBytes(after));
    const common = { table, change, isReplaying, acknowledgement, keyChange, bytes };
    if (keyChange !== null && before !== null) this.#pushEntry(before, true, common);
    this.#pushEntry(newest, after === null, common);
  }

  #pushEntry(row: Row, isTombstone: boolean, common: Omit<MirrorEntry, 'row' | 'isTombstone' | 'identity'>): void {
    const { table, change, isReplaying, acknowledgement, keyChange, bytes } = common;
    const identity = table.encoder.identity(row);
    const lane = chooseLane(table.collection.hash, identity, this.#options.lanes);
    this.#lanes.push(lane, {
      table,
      identity,
      change,
      row,
      isTombstone,
      isReplaying,
      acknowledgement,
      keyChange,
      bytes,
    });
  }

  async #deliver(entries: readonly MirrorEntry[]): Promise<void> {
    const admission = this.#quarantined.isEmpty ? null : new Admission(this.#quarantined);
    const admitted = admission === null ? entries : this.#admit(entries, admission);
    const { parts, refused, bytes } = encodeBatch(admitted, this.#options.nowMs());
    this.#lanes.grow(bytes);
    try {
      const writes = parts.map((part) => this.#write(part));
      await Promise.allSettled(writes);
      const written = await Promise.all(writes);
      for (const one of [...refused, ...written.flatMap((of) => of.refused)]) {
        await this.#refuseEntry(one);
        admission?.refused(keyOf(one.entry));
      }
      if (this.#fatal !== null) return;
      admission?.noteHeld();
      admission?.noteTaken();
      for (const { rejected } of written) for (const entry of rejected) this.#countRejection(entry);
    } finally {
      this.#lanes.grow(-bytes);
      if (bytes > WIDE_BYTES * entries.length) void dropWide(bytes);
    }
    this.#acknowledge(entries);
  }

  async #write({ collection, collapsed, writes }: EncodedPart): Promise<WrittenPart> {
    const { rejected, notNew, refused } = await this.#writeParts(collection.name, writes);
    if (notNew > 0)
      collection.inserts.report(
        writes.reduce((count, { isNew }) => count + Number(isNew), 0),
        notNew,
      );
    const entryOf = (index: number): MirrorEntry => (collapsed[index] as CollapsedEntry).entry;
    return {
      rejected: rejected.map(entryOf),
      refused: refused.map(({ index, error }) => ({ entry: entryOf(index), error })),
    };
  }

  #admit(entries: readonly MirrorEntry[], admission: Admission): readonly MirrorEntry[] {
    const concerned = new Map<TableLayout, boolean>();
    return entries.filter((entry) => {
      const { layout } = entry.change;
      let isConcerned = concerned.get(layout);
      if (isConcerned === undefined) concerned.set(layout, (isConcerned = this.#quarantined.hasAny(layout)));
      return !isConcerned || admission.admits(keyOf(entry), changeVersion(entry.change));
    });
  }

  /** What came of the row before it in the batch counts as confirmed with it: the record is about the row. */
  #refuseEntry({ entry, error }: RefusedEntry): Promise<void> {
    const { change, row, isTombstone } = entry;
    const { key, ...table } = keyOf(entry);
    const { gtid, file, offset } = change.transaction;
    const refused = {
      ...{ table, key, id: changeId(change), version: changeVersion(change), gtid, file, offset },
      payload: isTombstone ? null : showRow(change.layout, row),
    };
    return this.#refuse(refused, error);
  }

  /** A server that is too slow for a command gets smaller ones, until one is confirmed before the connection is given up. */
  async #writeParts(collection: string, writes: readonly GuardedWrite[]): Promise<GuardedResult> {
    const db = this.#db;
    const writeConcern = this.#writeConcern;
    const maxCommandWrites = this.#maxCommandWrites;
    try {
      const result = await writeGuarded(db, collection, writes, { writeConcern, maxCommandWrites });
      this.#maxCommandWrites = Math.min(this.#maxCommandWrites * 2, MAX_COMMAND_WRITES);
      return result;
    } catch (error) {
      if (isTimeout(error)) this.#maxCommandWrites = Math.max(1, Math.floor(maxCommandWrites / 4));
      throw error;
    }
  }

  #countRejection({ isReplaying, table, change }: MirrorEntry): void {
    if (isReplaying) {
      this.#rejectedInReplay++;
      return;
    }
    if (this.#rejectedOutsideReplay++ === 0)
      this.#options.logger.warn('a newer document refused a write outside a replay', {
        collection: table.collection.name,
        version: changeVersion(change),
        gtid: change.transaction.gtid,
      });
  }

  #acknowledge(entries: readonly MirrorEntry[]): void {
    let current: Acknowledgement | null = null;
    let count = 0;
    for (const { acknowledgement, keyChange } of entries) {
      if (keyChange !== null && --keyChange.unconfirmed > 0) continue;
      if (acknowledgement !== current) {
        current?.acknowledge(count);
        this.#confirmed += count;
        current = acknowledgement;
        count = 0;
      }
      count++;
    }
    current?.acknowledge(count);
    this.#confirmed += count;
  }

  #keepTrying<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    return this.#server.until('holding: MongoDB does not take a command, trying again', work, { signal });
  }

  #fail(error: DittoError): void {
    this.#fatal = error;
    this.#onFatal(error);
  }
}

function keyOf({ change: { layout }, row }: MirrorEntry): QuarantinedKey {
  return { database: layout.database, table: layout.table, key: encodeKeyValues(layout, row) };
}
