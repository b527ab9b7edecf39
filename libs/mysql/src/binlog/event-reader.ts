import { eventChecksum } from './checksum.ts';
import { inflateEvent } from './compressed-event.ts';
import {
  EventType,
  FLAG_ARTIFICIAL,
  FLAG_IGNORABLE,
  HEADER_BYTES,
  SILENT_EVENTS,
  type EventBytes,
} from './event-header.ts';
import { readsChecksums } from './format-description.ts';
import { parseHeartbeatV2 } from './heartbeat-event.ts';
import { LogOffset } from './log-offset.ts';
import { type NestedEvents } from './nested-events.ts';
import { type PlaceProof } from './place-proof.ts';
import { StatementDecoder } from './statement-decoder.ts';
import { isBegin, parseExecuteLoadQueryEvent, parseQueryEvent } from './statement-event.ts';
import { withPlace } from './stream-stops.ts';
import { type CharacterSetFacts } from '../values/charset.ts';
import { TransactionReader, type TransactionReaderOptions } from './transaction-reader.ts';

const CHECKSUM_BYTES = 4;

export interface EventReaderOptions extends Omit<TransactionReaderOptions, 'log'> {
  /** For the text of statements; tables have their own. */
  readonly characterSets: CharacterSetFacts;
}

/** These are never part of a transaction, so that they can't be among the events that one event represents. */
const NEVER_NESTED = new Set<number>([
  EventType.rotate,
  EventType.formatDescription,
  EventType.gtid,
  EventType.gtidTagged,
  EventType.mariaDbGtid,
  EventType.anonymousGtid,
  EventType.transactionPayload,
]);

/**
 * Turns the events of a dump, in their order, into source items. `read` throws a coded error on anything that it can't
 * deliver exactly; nothing may be read after that. An event can represent others: while `hasNested`, those that
 * `takeNested` gives are read by `readNested`, each of them before anything else.
 */
export class EventReader {
  readonly #log = new LogOffset();
  readonly #transactions: TransactionReader;
  readonly #statements: StatementDecoder;
  #checksumBytes = 0;
  /** A format description has just said that there are no checksums from now on. */
  #areChecksumsDenied = false;
  /** Where the stream starts by file and offset, until that is proven to be a place. */
  #unproven: PlaceProof | null;

  constructor(options: EventReaderOptions) {
    const { place = null } = options;
    this.#unproven = place?.isProven === true ? null : place;
    this.#transactions = new TransactionReader({ ...options, log: this.#log });
    this.#statements = new StatementDecoder(options.characterSets);
  }

  /** Whether events carry checksums before the first format description says it. */
  expectChecksums(hasChecksums: boolean): void {
    this.#checksumBytes = hasChecksums ? CHECKSUM_BYTES : 0;
  }

  get hasNested(): boolean {
    return this.#transactions.hasNested;
  }

  /**
   * Reads the event in `bytes` from `start` to `packetEnd`; returns how many bytes the items that it gave keep, at most.
   * Items keep the bytes of rows: they must not change.
   */
  read(bytes: Buffer, start: number, packetEnd: number): number {
    try {
      this.#readEvent(bytes, start, packetEnd);
    } catch (error) {
      throw this.locate(error);
    }
    return this.#transactions.countBytes(packetEnd - start);
  }

  #readEvent(bytes: Buffer, start: number, packetEnd: number): void {
    if (packetEnd - start < HEADER_BYTES + this.#checksumBytes)
      throw this.#transactions.stop('DITTO_SOURCE_EVENT_MALFORMED', 'cut off');
    const type = bytes[start + 4] ?? 0;
    if (this.#areChecksumsDenied) this.#assertUnchecked(bytes, start, packetEnd);
    if (type === EventType.formatDescription) this.#readFormat(bytes, start, packetEnd);
    const event = { bytes, start, body: start + HEADER_BYTES, end: packetEnd - this.#checksumBytes };
    const size = packetEnd - start;
    const isInFile =
      (bytes.readUInt16LE(start + 17) & FLAG_ARTIFICIAL) === 0 &&
      // is at the file's beginning, also where a dump begins in the middle of a file
      type !== EventType.formatDescription &&
      type !== EventType.heartbeat &&
      type !== EventType.heartbeatV2;
    if (isInFile) this.#log.advance(bytes.readUInt32LE(start + 13), size);
    if (this.#checksumBytes > 0 && eventChecksum(bytes, start, event.end) !== bytes.readUInt32LE(event.end)) {
      throw this.#transactions.stop('DITTO_SOURCE_CHECKSUM_MISMATCH');
    }
    if (this.#unproven !== null && !this.#reachesPlace(this.#unproven, type, isInFile, size)) return;
    this.#dispatch(type, event, size);
  }

  #reachesPlace(place: PlaceProof, type: number, isInFile: boolean, size: number): boolean {
    if (type === EventType.heartbeat || type === EventType.heartbeatV2) place.assertNotBehind(this.#log);
    if (!isInFile) return true;
    if (!place.reaches(this.#log, size)) return false;
    this.#unproven = null;
    return true;
  }

  /** Throws `DITTO_SOURCE_ROW_TOO_LARGE` for rows that are not worth reading; only the beginning of the event is there. */
  assertSize(bytes: Buffer, start: number, size: number): void {
    try {
      this.#transactions.assertRowSize(bytes, start, size);
    } catch (error) {
      throw this.locate(error);
    }
  }

  takeNested(): NestedEvents | null {
    return this.#transactions.takeNested();
  }

  /** As `read`, for one of the nested events: without a checksum, and with nothing to say about offsets. */
  readNested(bytes: Buffer, start: number, end: number): number {
    const type = bytes[start + 4] ?? 0;
    try {
      if (NEVER_NESTED.has(type)) throw new RangeError(`an event of type ${type} inside a transaction`);
      this.#transactions.enterNested(bytes, start);
      this.#dispatch(type, { bytes, start, body: start + HEADER_BYTES, end }, end - start);
    } catch (error) {
      throw this.locate(error);
    }
    return this.#transactions.countBytes(end - start);
  }

  /** The error with the place in the log that is being read. */
  locate(error: unknown): Error {
    const located = withPlace(error, this.#transactions.place());
    return this.#unproven?.explain(located) ?? located;
  }

  close(): void {
    this.#transactions.close();
  }

  /** Says how the events after it are checked, so that nothing else may be read as one. */
  #readFormat(bytes: Buffer, start: number, packetEnd: number): void {
    const hasChecksums = readsChecksums(bytes, start, packetEnd);
    if (hasChecksums === null || this.#transactions.isOpen)
      throw this.#transactions.stop(
        'DITTO_SOURCE_EVENT_MALFORMED',
        'no format description, although its type says that it is one',
      );
    this.#checksumBytes = hasChecksums ? CHECKSUM_BYTES : 0;
    this.#areChecksumsDenied = !hasChecksums;
  }

  /** The event after a format description without checksums has none: else it was the description that was damaged. */
  #assertUnchecked(bytes: Buffer, start: number, packetEnd: number): void {
    this.#areChecksumsDenied = false;
    const end = packetEnd - CHECKSUM_BYTES;
    if (end - start >= HEADER_BYTES && eventChecksum(bytes, start, end) === bytes.readUInt32LE(end))
      throw this.#transactions.stop('DITTO_SOURCE_CHECKSUM_MISMATCH', 'a format description says that there are none');
  }

  #dispatch(type: number, event: EventBytes, size: number): void {
    switch (type) {
      case EventType.tableMap:
        this.#transactions.readTableMap(event);
        return;
      case EventType.writeRows:
      case EventType.updateRows:
      case EventType.deleteRows:
      case EventType.writeRowsV1:
      case EventType.updateRowsV1:
      case EventType.deleteRowsV1:
      case EventType.partialUpdateRows:
        this.#transactions.readRows(type, event);
        return;
      case EventType.gtid:
      case EventType.gtidTagged:
      case EventType.anonymousGtid:
      case EventType.mariaDbGtid:
        this.#transactions.begin(type, event, size);
        return;
      case EventType.query:
        if (isBegin(event)) this.#transactions.readBegin();
        else {
          this.#transactions.noteStatement(event);
          this.#transactions.readStatement(parseQueryEvent(event, this.#statements));
        }
        return;
      case EventType.executeLoadQuery:
        this.#transactions.readStatement(parseExecuteLoadQueryEvent(event, this.#statements));
        return;
      case EventType.xid:
        this.#transactions.end();
        return;
      case EventType.xaPrepare:
        this.#transactions.endXa(event);
        return;
      case EventType.transactionPayload:
        this.#transactions.readPayload(event);
        return;
      case EventType.rotate:
        this.#readRotate(event);
        return;
      case EventType.heartbeatV2:
        this.#readHeartbeat(event);
        return;
      default:
        this.#readOther(type, event, size);
    }
  }

  #readOther(type: number, event: EventBytes, size: number): void {
    const plain = inflateEvent(type, event);
    if (plain === null) this.#passOver(type, event);
    else this.#dispatch(plain.type, plain.event, size);
  }

  /** Events that say nothing about rows, or that their writer marked as such; what else is unknown may be a change. */
  #passOver(type: number, { bytes, start }: EventBytes): void {
    if (SILENT_EVENTS.has(type)) return;
    if (type === EventType.incident) throw this.#transactions.stop('DITTO_SOURCE_INCIDENT');
    if ((bytes.readUInt16LE(start + 17) & FLAG_IGNORABLE) !== 0) return;
    throw this.#transactions.stop('DITTO_SOURCE_EVENT_UNKNOWN', `type ${type}`);
  }

  /** One that is in the file says what follows it; the server makes up another, before each file that it sends. */
  #readRotate({ bytes, body, end }: EventBytes): void {
    const file = bytes.toString('utf8', body + 8, end);
    this.#unproven?.enter(file, this.#log);
    if (this.#unproven?.isProven === true) this.#unproven = null;
    this.#log.reset(Number(bytes.readBigUInt64LE(body)));
    this.#log.file = file;
  }

  #readHeartbeat(event: EventBytes): void {
    const { file, offset } = parseHeartbeatV2(event);
    if (file !== null) this.#log.file = file;
    if (offset !== null) this.#log.reset(offset);
  }
}
