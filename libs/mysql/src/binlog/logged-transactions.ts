import { DittoError } from '#kernel';
import { type MySqlConnectionOptions } from '../connection-options.ts';
import { toSourceError } from '../errors/source-error.ts';
import { type ServerKind } from '../server-kind.ts';
import { inflateEvent } from './compressed-event.ts';
import { ContentDigest } from './content-digest.ts';
import { type DumpStart } from './dump-commands.ts';
import { DumpConnection } from './dump-connection.ts';
import { EventType, FLAG_ARTIFICIAL, HEADER_BYTES, type EventBytes } from './event-header.ts';
import { readsChecksums } from './format-description.ts';
import { parseAnyGtidEvent } from './gtid-event.ts';
import { LogOffset } from './log-offset.ts';
import { parseMariaDbGtidEvent } from './mariadb-gtid-event.ts';
import { makeReplicaIdentity } from './replica-identity.ts';
import { frame } from './rows-event.ts';
import { findStatementText, isBegin } from './statement-event.ts';

/** What a log says of a transaction that recognises it; the digest is '' on MySQL. */
export interface FoundTransaction {
  readonly gtid: string | null;
  readonly file: string;
  readonly offset: number;
  readonly commitMicros: number;
  readonly digest: string;
}

export interface ScanOptions {
  readonly connection: MySqlConnectionOptions;
  readonly kind: ServerKind;
  readonly start: DumpStart;
  readonly signal: AbortSignal;
  /** True: that was enough. */
  readonly onTransaction: (found: FoundTransaction) => boolean;
  /** The file has ended, or the server has nothing more to send at the moment. True: that was enough. */
  readonly onPause: () => boolean;
}

const HEARTBEAT_MS = 500;
/** Without an event. A server that passes over transactions sends only heartbeats during that. */
const MOST_WAIT_MS = 60_000;
const CHECKSUM_BYTES = 4;

/**
 * Reads the transactions of a log from a place on, without their rows, until a callback says that it was enough. Over a
 * short-lived dump of its own, which no other reader is in the way of.
 */
export async function scanTransactions(options: ScanOptions): Promise<void> {
  const { signal, connection, start } = options;
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const scan = new TransactionScan(options, () => {
    resolve(undefined);
  });
  const dump = new DumpConnection({
    connection,
    start,
    replica: makeReplicaIdentity(undefined),
    heartbeatMs: HEARTBEAT_MS,
    listener: {
      onStart: () => undefined,
      onEvent: (bytes, from, end) => {
        if (!isHeartbeat(bytes[from + 4] ?? 0)) limit.refresh();
        scan.take(bytes, from, end);
      },
      onError: (error) => {
        reject(error instanceof RangeError ? unreadable(error) : toSourceError(error, 'looking into the log'));
      },
    },
  });
  const limit = setTimeout(() => {
    reject(tooLong());
  }, MOST_WAIT_MS);
  const abort = (): void => {
    reject(signal.reason as Error);
  };
  signal.addEventListener('abort', abort, { once: true });
  try {
    signal.throwIfAborted();
    dump.start();
    await promise;
  } finally {
    clearTimeout(limit);
    signal.removeEventListener('abort', abort);
    dump.stop();
  }
}

function unreadable(cause: RangeError): DittoError {
  return new DittoError('DITTO_SOURCE_EVENT_MALFORMED', `looking into the log: ${cause.message}`, { cause });
}

function tooLong(): DittoError {
  return new DittoError('DITTO_SOURCE_SILENT', `looking into the log: no event came for ${MOST_WAIT_MS} ms`, {
    retriable: true,
  });
}

class TransactionScan {
  readonly #options: ScanOptions;
  readonly #onDone: () => void;
  readonly #log = new LogOffset();
  readonly #digest: ContentDigest | null;
  #checksumBytes = CHECKSUM_BYTES;
  /** The transaction whose content is being read. */
  #open: FoundTransaction | null = null;
  #isStandalone = false;
  #isDone = false;

  constructor(options: ScanOptions, onDone: () => void) {
    this.#options = options;
    this.#onDone = onDone;
    this.#digest = options.kind === 'mariadb' ? new ContentDigest() : null;
  }

  take(bytes: Buffer, start: number, packetEnd: number): void {
    if (this.#isDone) return;
    if (packetEnd - start < HEADER_BYTES) throw new RangeError('an event is cut off');
    const type = bytes[start + 4] ?? 0;
    if (type === EventType.formatDescription) {
      this.#checksumBytes = readsChecksums(bytes, start, packetEnd) === false ? 0 : CHECKSUM_BYTES;
      return;
    }
    const event = { bytes, start, body: start + HEADER_BYTES, end: packetEnd - this.#checksumBytes };
    const size = packetEnd - start;
    if (type === EventType.rotate) this.#rotate(event);
    else if (isHeartbeat(type)) this.#pause();
    else {
      if ((bytes.readUInt16LE(start + 17) & FLAG_ARTIFICIAL) === 0)
        this.#log.advance(bytes.readUInt32LE(start + 13), size);
      this.#read(type, event, size);
    }
  }

  /** The server makes one up before each file that it sends. */
  #rotate({ bytes, start, body, end }: EventBytes): void {
    const file = bytes.toString('utf8', body + 8, end);
    const isStart = this.#log.file === '';
    const isMadeUp = (bytes.readUInt16LE(start + 17) & FLAG_ARTIFICIAL) !== 0;
    if (!isStart && (!isMadeUp || file !== this.#log.file)) this.#pause();
    this.#log.reset(Number(bytes.readBigUInt64LE(body)));
    this.#log.file = file;
  }

  #pause(): void {
    this.#end();
    if (!this.#isDone && this.#options.onPause()) this.#finish();
  }

  #read(type: number, event: EventBytes, size: number): void {
    if (isGtid(type)) this.#begin(type, event, size);
    else if (this.#digest !== null && this.#open !== null) this.#readContent(this.#digest, type, event);
  }

  #begin(type: number, event: EventBytes, size: number): void {
    this.#end();
    if (this.#isDone) return;
    const mariaDb = type === EventType.mariaDbGtid ? parseMariaDbGtidEvent(event) : null;
    const { gtid, commitMicros } = mariaDb ?? parseAnyGtidEvent(type, event);
    this.#isStandalone = mariaDb?.begins === false;
    this.#digest?.begin();
    this.#open = {
      gtid,
      file: this.#log.file,
      offset: this.#log.end - size,
      commitMicros: commitMicros === 0 ? event.bytes.readUInt32LE(event.start) * 1_000_000 : commitMicros,
      digest: '',
    };
    if (this.#digest === null) this.#end();
  }

  /** As the stream reads it (`TransactionReader`). */
  #readContent(digest: ContentDigest, type: number, event: EventBytes): void {
    const plain = inflateEvent(type, event) ?? { type, event };
    const { bytes, end } = plain.event;
    let isLast = false;
    if (plain.type === EventType.query) {
      if (isBegin(plain.event)) return;
      const text = findStatementText(plain.event);
      digest.addStatement(bytes, text, end);
      isLast =
        this.#isStandalone || /^(?:COMMIT|ROLLBACK)$/.test(bytes.toString('latin1', text, Math.min(end, text + 9)));
    } else if (isRows(plain.type)) digest.addRows(bytes, frame(plain.type, plain.event).images, end);
    else isLast = plain.type === EventType.xid || plain.type === EventType.xaPrepare;
    if (isLast || digest.isFull) this.#end();
  }

  #end(): void {
    const open = this.#open;
    this.#open = null;
    if (open !== null && this.#options.onTransaction({ ...open, digest: this.#digest?.toString() ?? '' }))
      this.#finish();
  }

  #finish(): void {
    this.#isDone = true;
    this.#onDone();
  }
}

function isHeartbeat(type: number): boolean {
  return type === EventType.heartbeat || type === EventType.heartbeatV2;
}

function isGtid(type: number): boolean {
  return (
    type === EventType.gtid ||
    type === EventType.gtidTagged ||
    type === EventType.anonymousGtid ||
    type === EventType.mariaDbGtid
  );
}

function isRows(type: number): boolean {
  return (
    (type >= EventType.writeRowsV1 && type <= EventType.deleteRowsV1) ||
    (type >= EventType.writeRows && type <= EventType.deleteRows)
  );
}
