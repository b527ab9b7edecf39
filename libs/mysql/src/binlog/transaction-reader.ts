import { classifyStatement } from '#change-events';
import { type SourceItem, type SourceTransaction } from '#replication';
import { type ContentDigest } from './content-digest.ts';
import { EventType, HEADER_BYTES, ROWS_EVENTS, type EventBytes } from './event-header.ts';
import { parseAnyGtidEvent } from './gtid-event.ts';
import { type LogOffset } from './log-offset.ts';
import { parseMariaDbGtidEvent } from './mariadb-gtid-event.ts';
import { type NestedEvents } from './nested-events.ts';
import { openPayload } from './payload-event.ts';
import { type PlaceProof } from './place-proof.ts';
import { countImages, frame, readRows } from './rows-event.ts';
import { findStatementText, type StatementEvent } from './statement-event.ts';
import { makeStop, type LogPlace, type StopCode } from './stream-stops.ts';
import { readTableId, TABLE_ID_BYTES } from './table-map.ts';
import { type TableCache } from './table-cache.ts';
import {
  parseXaStatement,
  savepointName,
  statementRole,
  type TransactionState,
  type XaStatement,
} from './transaction-state.ts';
import { imagesBefore, XaStore, type HeldEvents, type XaStoreOptions } from './xa-store.ts';

/** Flag of the XA_PREPARE event: the transaction committed in one phase. */
const ONE_PHASE = 1;
/** Savepoints of one transaction whose place is known; RELEASE is not in the log, so they can only get more. */
const MAX_SAVEPOINTS = 10_000;
/** What may be rolled back waits for the outcome up to this size; rows of larger transactions are given before it. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024;
/** About what an item holds in addition to bytes of the log. */
const ITEM_BYTES = 256;
/** Of an event whose bytes no item keeps. */
const NOTHING_KEPT = { start: 0, end: 0 };

export interface TransactionReaderOptions {
  readonly tables: TableCache;
  readonly includes: (database: string, table: string) => boolean;
  readonly serverUuid: string;
  readonly emit: (item: SourceItem) => void;
  /** Where XA transactions wait for their outcome. */
  readonly xaStore?: XaStoreOptions;
  /** Rows events above this size are refused, unless columns of their table are excluded. */
  readonly maxRowBytes?: number;
  /** Where a stream starts that goes by file and offset; only there transactions may have no GTID. */
  readonly place?: PlaceProof | null;
  /** Made where GTID events give no exact commit time. */
  readonly digest?: ContentDigest | null;
  /** Where the event ends that is being read. */
  readonly log: LogOffset;
}

/** Turns the events of transactions, from their GTID on, into source items. */
export class TransactionReader {
  readonly #tables: TableCache;
  readonly #includes: (database: string, table: string) => boolean;
  readonly #serverUuid: string;
  readonly #emit: (item: SourceItem) => void;
  readonly #xa: XaStore;
  readonly #log: LogOffset;
  readonly #place: PlaceProof | null;
  readonly #digest: ContentDigest | null;
  readonly #maxRowBytes: number;
  #hasBegun = false;
  #transaction: TransactionState | null = null;
  #nested: NestedEvents | null = null;
  /** What the items keep that waited and were given since `countBytes`. */
  #givenBytes = 0;

  constructor(options: TransactionReaderOptions) {
    this.#tables = options.tables;
    this.#includes = options.includes;
    this.#serverUuid = options.serverUuid;
    this.#emit = options.emit;
    this.#xa = new XaStore(options.xaStore);
    this.#log = options.log;
    this.#place = options.place ?? null;
    this.#digest = options.digest ?? null;
    this.#maxRowBytes = options.maxRowBytes ?? Infinity;
  }

  get isOpen(): boolean {
    return this.#transaction !== null;
  }

  get hasNested(): boolean {
    return this.#nested !== null;
  }

  /** What the last event represents; to be read before anything else. */
  takeNested(): NestedEvents | null {
    const nested = this.#nested;
    this.#nested = null;
    return nested;
  }

  /** Called before each event that `takeNested` gave. */
  enterNested(bytes: Buffer, start: number): void {
    const transaction = this.#current();
    if (transaction.isReplayed) transaction.images += imagesBefore(bytes, start);
  }

  readPayload(event: EventBytes): void {
    this.#current();
    this.#nested = { pieces: openPayload(event), onEnd: () => undefined };
  }

  readBegin(): void {
    this.#current().hasBegun = true;
  }

  place(): LogPlace {
    return { file: this.#log.file, offset: this.#log.end, gtid: this.#transaction?.gtid ?? null };
  }

  stop(code: StopCode, detail?: string): Error {
    return makeStop(code, this.place(), detail);
  }

  close(): void {
    this.#xa.close();
  }

  begin(type: number, event: EventBytes, size: number): void {
    if (this.#transaction !== null)
      throw this.stop('DITTO_SOURCE_EVENT_MALFORMED', 'a transaction begins inside another');
    if (type === EventType.anonymousGtid && this.#place === null) throw this.stop('DITTO_SOURCE_ANONYMOUS_TRANSACTION');
    this.#hasBegun = true;
    const mariaDb = type === EventType.mariaDbGtid ? parseMariaDbGtidEvent(event) : null;
    const { gtid, commitMicros } = mariaDb ?? parseAnyGtidEvent(type, event);
    const xid = mariaDb?.preparedXa ?? null;
    const mayRollBack = mariaDb !== null || gtid === null;
    this.#tables.trim();
    this.#digest?.begin();
    const source: SourceTransaction = {
      gtid,
      preparedGtid: null,
      serverId: event.bytes.readUInt32LE(event.start + 5),
      serverUuid: this.#serverUuid,
      file: this.#log.file,
      offset: this.#log.end - size,
      commitMicros: commitMicros === 0 ? event.bytes.readUInt32LE(event.start) * 1_000_000 : commitMicros,
    };
    this.#transaction = {
      source,
      gtid,
      isAnnounced: false,
      hasBegun: mariaDb?.begins ?? false,
      images: 0,
      hasEmittedRows: false,
      xid,
      mayRollBack,
      waiting: mayRollBack ? [] : null,
      waitingBytes: 0,
      held: xid === null ? null : this.#xa.hold(),
      imagesBeforeHeld: 0,
      savepoints: null,
      hasRolledBack: false,
      isReplayed: false,
    };
  }

  /** Not at its GTID yet: an XA transaction shows only later, and may wait for its outcome. */
  #announce(transaction: TransactionState): void {
    if (transaction.isAnnounced) return;
    transaction.isAnnounced = true;
    this.#emit({ type: 'begin', transaction: transaction.source });
  }

  readTableMap(event: EventBytes): void {
    this.#tables.learn(event);
    const held = this.#transaction?.held;
    if (held === null || held === undefined) return;
    if (this.#tables.reader(readTableId(event))?.included === true) held.add(event, 0);
  }

  readRows(type: number, event: EventBytes): void {
    const transaction = this.#current();
    // what an XA COMMIT replays lies in another transaction of the log
    if (this.#digest !== null && !transaction.isReplayed)
      this.#digest.addRows(event.bytes, frame(type, event).images, event.end);
    const reader = this.#tables.reader(readTableId(event));
    if (reader === undefined) throw this.stop('DITTO_SOURCE_EVENT_MALFORMED', 'rows without a table map');
    if (!reader.included) {
      transaction.images += countImages(type, event, reader);
      return;
    }
    this.assertRowSize(event.bytes, event.start, event.end - event.start);
    if (transaction.held !== null) {
      transaction.held.add(event, transaction.images);
      transaction.images = 0;
      return;
    }
    const { op, before, after } = readRows(type, event, reader, this.place());
    const firstRowIndex = transaction.images;
    transaction.images += (after ?? before)?.count ?? 0;
    this.#give({ type: 'rows', op, layout: reader.layout, before, after, firstRowIndex }, event, transaction);
  }

  /** `size`: of an event whose first bytes are there, at least those up to its table id. */
  assertRowSize(bytes: Buffer, start: number, size: number): void {
    if (size <= this.#maxRowBytes) return;
    const body = start + HEADER_BYTES;
    if (!ROWS_EVENTS.has(bytes[start + 4] ?? 0) || bytes.length < body + TABLE_ID_BYTES) return;
    const reader = this.#tables.reader(readTableId({ bytes, start, body, end: bytes.length }));
    if (reader?.included !== true || reader.codec.places.length > reader.layout.columns.length) return;
    const { database, table } = reader.layout;
    throw this.stop('DITTO_SOURCE_ROW_TOO_LARGE', `${size} bytes in ${database}.${table}`);
  }

  #give(item: SourceItem, { start, end }: Pick<EventBytes, 'start' | 'end'>, transaction: TransactionState): void {
    if (transaction.waiting === null) {
      this.#announce(transaction);
      transaction.hasEmittedRows ||= item.type === 'rows';
      this.#emit(item);
      return;
    }
    transaction.waiting.push(item);
    transaction.waitingBytes += ITEM_BYTES + end - start;
    if (transaction.waitingBytes > MAX_WAITING_BYTES) this.#giveWaiting(transaction);
  }

  /** Nothing of the transaction waits any more, except what is held after a savepoint. */
  #giveWaiting(transaction: TransactionState): void {
    const { waiting } = transaction;
    if (waiting === null) return;
    transaction.waiting = null;
    this.#givenBytes += transaction.waitingBytes;
    for (const item of waiting) this.#give(item, NOTHING_KEPT, transaction);
  }

  /**
   * What the items of the event of `size` bytes keep that was just read: nothing while they wait or are nested, all that
   * waited when it is given.
   */
  countBytes(size: number): number {
    if (this.hasNested || (this.#transaction?.waiting ?? null) !== null) return 0;
    const bytes = size + this.#givenBytes;
    this.#givenBytes = 0;
    return bytes;
  }

  /** The text of a statement, before it is read. */
  noteStatement(event: EventBytes): void {
    this.#digest?.addStatement(event.bytes, findStatementText(event), event.end);
  }

  readStatement(statement: StatementEvent): void {
    const { sql } = statement;
    const transaction = this.#current();
    switch (statementRole(sql)) {
      case 'commit':
        this.end();
        return;
      case 'savepoint':
        this.#setSavepoint(savepointName(sql), transaction);
        return;
      case 'release-savepoint':
        return;
      case 'rollback':
        this.#rollBack(transaction);
        return;
      case 'rollback-to':
        this.#rollBackTo(savepointName(sql), transaction);
        return;
      case 'xa':
        this.#readXa(sql, transaction);
        return;
      case 'other':
        this.#assertNoData(statement);
        if (transaction.xid !== null && transaction.held !== null) return;
        this.#give({ type: 'statement', ...statement }, NOTHING_KEPT, transaction);
        if (!transaction.hasBegun) this.end();
    }
  }

  /** Row format leaves no statement in the log that changes rows of an included table. */
  #assertNoData({ database, sql, sqlMode }: StatementEvent): void {
    const { kind, tables } = classifyStatement(sql, database, sqlMode);
    if (kind !== 'data') return;
    const excluded = tables.length > 0 && tables.every((t) => t.table !== null && !this.#includes(t.database, t.table));
    if (!excluded) throw this.stop('DITTO_SOURCE_STATEMENT_EVENT', sql.slice(0, 120));
  }

  #readXa(sql: string, transaction: TransactionState): void {
    const xa = parseXaStatement(sql);
    if (xa === null) throw this.stop('DITTO_SOURCE_EVENT_MALFORMED', `unknown statement ${sql.slice(0, 120)}`);
    switch (xa.verb) {
      case 'START':
      case 'BEGIN':
        transaction.xid = xa.xid;
        transaction.held = this.#xa.hold();
        transaction.hasBegun = true;
        return;
      case 'END':
        return;
      default:
        this.#decideXa(xa, transaction);
    }
  }

  /** A decision is in a transaction of its own, unless nothing was ever prepared. */
  #decideXa({ verb, xid }: XaStatement, transaction: TransactionState): void {
    const prepared = transaction.held === null ? this.#xa.take(xid) : null;
    const events = transaction.held ?? prepared?.events ?? null;
    if (prepared !== null) transaction.source = { ...transaction.source, preparedGtid: prepared.gtid };
    if (verb === 'COMMIT') {
      if (events === null) throw this.stop('DITTO_SOURCE_XA_UNKNOWN', xid);
      this.#replay(events, transaction);
      return;
    }
    if (transaction.hasEmittedRows) throw this.stop('DITTO_SOURCE_ROLLED_BACK_ROWS');
    transaction.held = null;
    events?.close();
    this.end();
  }

  #holdFromHere(transaction: TransactionState): HeldEvents {
    transaction.held = this.#xa.hold();
    transaction.imagesBeforeHeld = transaction.images;
    transaction.images = 0;
    return transaction.held;
  }

  #setSavepoint(name: string, transaction: TransactionState): void {
    if (!transaction.mayRollBack || transaction.isReplayed) return;
    const held = transaction.held ?? this.#holdFromHere(transaction);
    const savepoints = (transaction.savepoints ??= new Map());
    savepoints.delete(name);
    savepoints.set(name, { held: held.mark(), images: transaction.images });
    if (savepoints.size <= MAX_SAVEPOINTS) return;
    for (const oldest of savepoints.keys()) {
      savepoints.delete(oldest);
      return;
    }
  }

  /** Rows since the savepoint are forgotten; it stays, those that were set after it do not. */
  #rollBackTo(name: string, transaction: TransactionState): void {
    const { savepoints, held, waiting, hasEmittedRows } = transaction;
    const savepoint = savepoints?.get(name);
    if (savepoints === null || savepoint === undefined || held === null) {
      const hasRows = hasEmittedRows || (waiting?.length ?? 0) > 0 || held?.isEmpty === false;
      if (hasRows) throw this.stop('DITTO_SOURCE_ROLLED_BACK_ROWS');
      return;
    }
    transaction.hasRolledBack = true;
    held.cutBack(savepoint.held);
    transaction.images = savepoint.images;
    for (const later of [...savepoints.keys()].reverse()) {
      if (later === name) return;
      savepoints.delete(later);
    }
  }

  #rollBack(transaction: TransactionState): void {
    if (transaction.hasEmittedRows) throw this.stop('DITTO_SOURCE_ROLLED_BACK_ROWS');
    transaction.hasRolledBack = true;
    transaction.waiting = null;
    transaction.held?.close();
    transaction.held = null;
    this.end();
  }

  /** The end of what XA START began: it is prepared, or committed in one phase. */
  endXa({ bytes, body }: EventBytes): void {
    const transaction = this.#current();
    const { xid, held, gtid } = transaction;
    if (xid === null || held === null) throw new RangeError('an XA transaction ends that never began');
    if (bytes[body] === ONE_PHASE) {
      this.#replay(held, transaction);
      return;
    }
    this.#xa.prepare(xid, gtid, held);
    this.#transaction = null;
    this.#emit({ type: 'prepared', gtid });
  }

  #replay(events: HeldEvents, transaction: TransactionState): void {
    transaction.held = null;
    transaction.images = transaction.imagesBeforeHeld;
    transaction.isReplayed = true;
    this.#giveWaiting(transaction);
    events.settle();
    this.#nested = {
      pieces: events,
      onEnd: () => {
        this.end();
      },
    };
  }

  end(): void {
    const transaction = this.#current();
    const { held } = transaction;
    if (held !== null && !held.isEmpty) {
      if (transaction.xid !== null) throw this.stop('DITTO_SOURCE_EVENT_MALFORMED', 'an XA transaction ends undecided');
      this.#replay(held, transaction);
      return;
    }
    held?.close();
    this.#giveWaiting(transaction);
    this.#announce(transaction);
    this.#transaction = null;
    const end = { type: 'end' as const, file: this.#log.file, endOffset: this.#log.end };
    const digest = transaction.hasRolledBack ? null : this.#digest;
    this.#emit(digest === null ? end : { ...end, digest: digest.toString() });
  }

  #current(): TransactionState {
    if (this.#transaction !== null) return this.#transaction;
    if (this.#place !== null && !this.#hasBegun) throw this.#place.refuse('it lies inside a transaction');
    throw this.stop('DITTO_SOURCE_EVENT_MALFORMED', 'an event outside any transaction');
  }
}
