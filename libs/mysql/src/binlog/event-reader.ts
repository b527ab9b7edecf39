import { classifyStatement } from '#change-events';
import { type SourceItem, type SourceTransaction } from '#replication';
import { eventChecksum } from './checksum.ts';
import {
  EventType,
  FLAG_ARTIFICIAL,
  HEADER_BYTES,
  lengthEncodedSize,
  readLengthEncoded,
  type EventBytes,
} from './event-header.ts';
import { readsChecksums } from './format-description.ts';
import { parseAnyGtidEvent } from './gtid-event.ts';
import { LogOffset } from './log-offset.ts';
import { countImages, readRows } from './rows-event.ts';
import { isBegin, parseExecuteLoadQueryEvent, parseQueryEvent, type StatementEvent } from './statement-event.ts';
import { makeStop, withPlace, type LogPlace, type StopCode } from './stream-stops.ts';
import { readTableId } from './table-map.ts';
import { type TableCache } from './table-cache.ts';
import {
  IgnorableXaTransactions,
  parseXaStatement,
  statementRole,
  type TransactionState,
} from './transaction-state.ts';

const CHECKSUM_BYTES = 4;
/** Flag of the XA_PREPARE event: the transaction committed in one phase. */
const ONE_PHASE = 1;

export interface EventReaderOptions {
  readonly tables: TableCache;
  readonly includes: (database: string, table: string) => boolean;
  readonly serverUuid: string;
  /** Whether events carry checksums before the first format description says so itself. */
  readonly hasChecksums: boolean;
  readonly emit: (item: SourceItem) => void;
}

/**
 * Turns the events of a dump, in their order, into source items. `read` throws a coded error on anything that it can't
 * deliver exactly; nothing may be read after that.
 */
export class EventReader {
  readonly #tables: TableCache;
  readonly #includes: (database: string, table: string) => boolean;
  readonly #serverUuid: string;
  readonly #emit: (item: SourceItem) => void;
  readonly #offset = new LogOffset();
  readonly #ignorableXa = new IgnorableXaTransactions();
  #checksumBytes: number;
  #file = '';
  #transaction: TransactionState | null = null;
  #gtid: string | null = null;

  constructor(options: EventReaderOptions) {
    this.#tables = options.tables;
    this.#includes = options.includes;
    this.#serverUuid = options.serverUuid;
    this.#emit = options.emit;
    this.#checksumBytes = options.hasChecksums ? CHECKSUM_BYTES : 0;
  }

  /** Reads the event in `bytes` from `start` to `packetEnd`; returns its size. Items keep the bytes of rows: they must not change. */
  read(bytes: Buffer, start: number, packetEnd: number): number {
    if (packetEnd - start < HEADER_BYTES + this.#checksumBytes)
      throw this.#stop('DITTO_SOURCE_EVENT_MALFORMED', 'cut off');
    const type = bytes[start + 4] ?? 0;
    if (type === EventType.formatDescription) this.#readFormat(bytes, start, packetEnd);
    const event = { bytes, start, body: start + HEADER_BYTES, end: packetEnd - this.#checksumBytes };
    const size = packetEnd - start;
    if (
      (bytes.readUInt16LE(start + 17) & FLAG_ARTIFICIAL) === 0 &&
      type !== EventType.heartbeat &&
      type !== EventType.heartbeatV2
    ) {
      this.#offset.advance(bytes.readUInt32LE(start + 13));
    }
    if (this.#checksumBytes > 0 && eventChecksum(bytes, start, event.end) !== bytes.readUInt32LE(event.end)) {
      throw this.#stop('DITTO_SOURCE_CHECKSUM_MISMATCH');
    }
    try {
      this.#dispatch(type, event, size);
    } catch (error) {
      throw withPlace(error, this.#place());
    }
    return size;
  }

  /** Says how the events behind it are checked, so that nothing else may be taken for one. */
  #readFormat(bytes: Buffer, start: number, packetEnd: number): void {
    const hasChecksums = readsChecksums(bytes, start, packetEnd);
    if (hasChecksums === null || this.#transaction !== null)
      throw this.#stop('DITTO_SOURCE_EVENT_MALFORMED', 'no format description, although its type says so');
    this.#checksumBytes = hasChecksums ? CHECKSUM_BYTES : 0;
  }

  #dispatch(type: number, event: EventBytes, size: number): void {
    switch (type) {
      case EventType.tableMap:
        this.#tables.learn(event);
        return;
      case EventType.writeRows:
      case EventType.updateRows:
      case EventType.deleteRows:
      case EventType.writeRowsV1:
      case EventType.updateRowsV1:
      case EventType.deleteRowsV1:
        this.#readRows(type, event);
        return;
      case EventType.gtid:
      case EventType.gtidTagged:
        this.#begin(type, event, size);
        return;
      case EventType.query:
        if (isBegin(event)) this.#open().hasBegun = true;
        else this.#readStatement(parseQueryEvent(event));
        return;
      case EventType.executeLoadQuery:
        this.#readStatement(parseExecuteLoadQueryEvent(event));
        return;
      case EventType.xid:
        this.#end();
        return;
      case EventType.xaPrepare:
        this.#endXa((event.bytes[event.body] ?? 0) === ONE_PHASE);
        return;
      case EventType.rotate:
        this.#offset.reset(Number(event.bytes.readBigUInt64LE(event.body)));
        this.#file = event.bytes.toString('utf8', event.body + 8, event.end);
        return;
      case EventType.heartbeatV2:
        this.#readHeartbeat(event);
        return;
      default:
        this.#refuse(type, event);
    }
  }

  #refuse(type: number, event: EventBytes): void {
    if (type === EventType.transactionPayload) throw this.#stop('DITTO_SOURCE_COMPRESSED_TRANSACTION');
    if (type === EventType.incident) throw this.#stop('DITTO_SOURCE_INCIDENT');
    if (type === EventType.anonymousGtid) throw this.#stop('DITTO_SOURCE_ANONYMOUS_TRANSACTION');
    if (type === EventType.partialUpdateRows) {
      const reader = this.#tables.reader(readTableId(event));
      if (reader?.included !== false) throw this.#stop('DITTO_SOURCE_PARTIAL_JSON');
      this.#open().images++;
    }
  }

  #begin(type: number, event: EventBytes, size: number): void {
    if (this.#transaction !== null)
      throw this.#stop('DITTO_SOURCE_EVENT_MALFORMED', 'a transaction begins inside another');
    const { gtid, commitMicros } = parseAnyGtidEvent(type, event);
    this.#tables.trim();
    this.#gtid = gtid;
    this.#transaction = { gtid, hasBegun: false, images: 0, hasRows: false, xa: null };
    const transaction: SourceTransaction = {
      gtid,
      preparedGtid: null,
      serverId: event.bytes.readUInt32LE(event.start + 5),
      serverUuid: this.#serverUuid,
      file: this.#file,
      offset: this.#offset.end - size,
      commitMicros: commitMicros === 0 ? event.bytes.readUInt32LE(event.start) * 1_000_000 : commitMicros,
    };
    this.#emit({ type: 'begin', transaction });
  }

  #readRows(type: number, event: EventBytes): void {
    const transaction = this.#open();
    const reader = this.#tables.reader(readTableId(event));
    if (reader === undefined) throw this.#stop('DITTO_SOURCE_EVENT_MALFORMED', 'rows without a table map');
    if (!reader.included) {
      transaction.images += countImages(type, event, reader);
      return;
    }
    if (transaction.xa !== null)
      throw this.#stop('DITTO_SOURCE_XA_TRANSACTION', `${reader.layout.database}.${reader.layout.table}`);
    const { op, before, after } = readRows(type, event, reader, this.#place());
    const firstRowIndex = transaction.images;
    transaction.images += (after ?? before)?.count ?? 0;
    transaction.hasRows = true;
    this.#emit({ type: 'rows', op, layout: reader.layout, before, after, firstRowIndex });
  }

  #readStatement({ database, sql }: StatementEvent): void {
    const transaction = this.#open();
    switch (statementRole(sql)) {
      case 'begin':
        transaction.hasBegun = true;
        return;
      case 'commit':
        this.#end();
        return;
      case 'savepoint':
        return;
      case 'rollback':
        if (transaction.hasRows) throw this.#stop('DITTO_SOURCE_ROLLED_BACK_ROWS');
        this.#end();
        return;
      case 'rollback-to':
        if (transaction.hasRows) throw this.#stop('DITTO_SOURCE_ROLLED_BACK_ROWS');
        return;
      case 'xa':
        this.#readXa(sql, transaction);
        return;
      case 'other':
        this.#assertNoData(database, sql);
        this.#emit({ type: 'statement', database, sql });
        if (!transaction.hasBegun) this.#end();
    }
  }

  /** Row format leaves no statement in the log that changes rows of an included table. */
  #assertNoData(database: string, sql: string): void {
    const { kind, tables } = classifyStatement(sql, database);
    if (kind !== 'data') return;
    const excluded = tables.length > 0 && tables.every((t) => t.table !== '*' && !this.#includes(t.database, t.table));
    if (!excluded) throw this.#stop('DITTO_SOURCE_STATEMENT_EVENT', sql.slice(0, 120));
  }

  #readXa(sql: string, transaction: TransactionState): void {
    const xa = parseXaStatement(sql);
    if (xa === null) throw this.#stop('DITTO_SOURCE_EVENT_MALFORMED', `unknown statement ${sql.slice(0, 120)}`);
    switch (xa.verb) {
      case 'START':
      case 'BEGIN':
        transaction.xa = xa.xid;
        transaction.hasBegun = true;
        return;
      case 'END':
        return;
      case 'ROLLBACK':
        this.#ignorableXa.take(xa.xid);
        this.#end();
        return;
      default:
        if (!this.#ignorableXa.take(xa.xid)) throw this.#stop('DITTO_SOURCE_XA_UNKNOWN', xa.xid);
        this.#end();
    }
  }

  #endXa(onePhase: boolean): void {
    const { xa } = this.#open();
    if (xa !== null && !onePhase) this.#ignorableXa.add(xa);
    this.#end();
  }

  #end(): void {
    this.#open();
    this.#transaction = null;
    this.#gtid = null;
    this.#emit({ type: 'end', file: this.#file, endOffset: this.#offset.end });
  }

  /** Version 2 heartbeats tell a 64-bit offset: fields of type 1, length, value; 1 is the file, 2 the offset, 0 the end. */
  #readHeartbeat({ bytes, body, end }: EventBytes): void {
    let at = body;
    while (at < end && bytes[at] !== 0) {
      const field = bytes[at];
      const length = readLengthEncoded(bytes, at + 1);
      const value = at + 1 + lengthEncodedSize(bytes, at + 1);
      if (field === 1) this.#file = bytes.toString('utf8', value, value + length);
      if (field === 2) this.#offset.reset(readLengthEncoded(bytes, value));
      at = value + length;
    }
  }

  #open(): TransactionState {
    if (this.#transaction === null)
      throw this.#stop('DITTO_SOURCE_EVENT_MALFORMED', 'an event outside any transaction');
    return this.#transaction;
  }

  #place(): LogPlace {
    return { file: this.#file, offset: this.#offset.end, gtid: this.#gtid };
  }

  #stop(code: StopCode, detail?: string): Error {
    return makeStop(code, this.#place(), detail);
  }
}
