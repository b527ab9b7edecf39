import ZongJi from '@vlasky/zongji';
import { type Connection } from 'mysql2';
import { driverOptions, type MySqlConnectionOptions } from '../connection-options.ts';

/** What ZongJi and mysql2 have at run time beyond their published types (@vlasky/zongji 0.9.0, mysql2 3.24). */
interface Packet {
  readonly buffer: Buffer;
  readonly offset: number;
  readonly end: number;
  readonly numPackets: number;
}
interface DriverConnection extends Connection {
  readonly _paused: boolean;
  readonly _command: unknown;
  handlePacket(packet?: Packet): void;
  writePacket(packet: { readonly buffer: Buffer }): void;
  _bumpSequenceId(packets: number): void;
}
interface ZongJiInternals {
  readonly connection: DriverConnection;
  readonly ctrlConnection: Connection;
  readonly BinlogClass: abstract new (...args: never[]) => unknown;
  readonly useChecksum: boolean;
  readonly stopped: boolean;
}

export interface DumpListener {
  /** Called before the first event. */
  readonly onStart: (hasChecksums: boolean) => void;
  /** One event; the bytes are only valid during the call. Throwing ends the dump. */
  readonly onEvent: (bytes: Buffer, start: number, end: number) => void;
  /** Called once; no event comes after it. */
  readonly onError: (error: unknown) => void;
}

export interface DumpOptions {
  readonly connection: MySqlConnectionOptions;
  readonly gtidSet: string;
  readonly replicaId: number;
  readonly heartbeatMs: number;
  readonly listener: DumpListener;
}

const COM_BINLOG_DUMP_GTID = 0x1e;
/** Asks for heartbeats that carry 64-bit offsets (MySQL 8.0.26; older servers ignore it). */
const USE_HEARTBEAT_EVENT_V2 = 0x02;
const OK_MARKER = 0x00;
const YEAR_SECONDS = 31_536_000;

/**
 * The dump of one server by GTID. The only place that knows ZongJi: it connects, authenticates, settles checksums,
 * registers the dump and ends it; its packets are handed on before ZongJi would decode them, because its values are not
 * exact for every type (README).
 */
export class DumpConnection {
  readonly #options: DumpOptions;
  readonly #zongji: ZongJi;
  readonly #internals: ZongJiInternals;
  #isDumping = false;
  #hasEnded = false;

  constructor(options: DumpOptions) {
    this.#options = options;
    this.#zongji = new ZongJi(driverOptions(options.connection));
    this.#internals = this.#zongji as unknown as ZongJiInternals;
  }

  start(): void {
    this.#zongji.on('error', (error: unknown) => {
      this.#fail(error);
    });
    this.#zongji.on('ready', () => {
      this.#prepare();
    });
    this.#zongji.start({ gtidSet: this.#options.gtidSet, serverId: this.#options.replicaId });
  }

  pause(): void {
    if (!this.#hasEnded) this.#internals.connection.pause();
  }

  resume(): void {
    if (!this.#hasEnded) this.#internals.connection.resume();
  }

  /** Resolves when both connections are gone and the server was told to end its dump thread. */
  async stop(): Promise<void> {
    this.#hasEnded = true;
    if (this.#internals.stopped) return;
    await new Promise<void>((resolve) => {
      this.#zongji.once('stopped', resolve);
      this.#zongji.stop();
    });
  }

  /** Runs in ZongJi's `ready` event, just before it queues the dump command. */
  #prepare(): void {
    const { connection, ctrlConnection } = this.#internals;
    const report = (error: unknown): void => {
      if (error !== null) this.#fail(error);
    };
    const period = this.#options.heartbeatMs * 1_000_000;
    // both spellings: @master_… before MySQL 8.0.26. Checksums: a log may hold files with them although the server
    // writes none now, and is refused to readers that don't say they know them
    connection.query(
      `SET @source_heartbeat_period = ${period}, @master_heartbeat_period = ${period},
           @source_binlog_checksum = 'CRC32', @master_binlog_checksum = 'CRC32'`,
      report,
    );
    // the control connection idles as long as the stream lasts
    ctrlConnection.query(`SET SESSION wait_timeout = ${YEAR_SECONDS}`, report);
    this.#askForLongOffsets(connection);
    this.#divertEvents(connection);
  }

  #askForLongOffsets(connection: DriverConnection): void {
    const write = connection.writePacket.bind(connection);
    connection.writePacket = (packet) => {
      const { buffer } = packet;
      if (buffer[4] === COM_BINLOG_DUMP_GTID) {
        buffer[5] = (buffer[5] ?? 0) | USE_HEARTBEAT_EVENT_V2;
        connection.writePacket = write;
      }
      write(packet);
    };
  }

  #divertEvents(connection: DriverConnection): void {
    const { BinlogClass, useChecksum } = this.#internals;
    const { listener } = this.#options;
    const handle = connection.handlePacket.bind(connection);
    connection.handlePacket = (packet) => {
      if (packet === undefined || connection._paused || this.#hasEnded) {
        if (!this.#hasEnded) handle(packet);
        return;
      }
      if (!this.#isDumping) {
        if (!(connection._command instanceof BinlogClass)) {
          handle(packet);
          return;
        }
        this.#isDumping = true;
        listener.onStart(useChecksum);
      }
      if (packet.buffer[packet.offset] !== OK_MARKER) {
        this.#endOfDump(packet, handle);
        return;
      }
      connection._bumpSequenceId(packet.numPackets);
      try {
        listener.onEvent(packet.buffer, packet.offset + 1, packet.end);
      } catch (error) {
        this.#fail(error);
      }
    };
  }

  /** An error packet (ZongJi reports it) or an end-of-file packet (which ZongJi takes without a word). */
  #endOfDump(packet: Packet, handle: (packet: Packet) => void): void {
    handle(packet);
    this.#fail(Object.assign(new Error('the server ended the dump'), { code: 'PROTOCOL_CONNECTION_LOST' }));
  }

  #fail(error: unknown): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#options.listener.onError(error);
  }
}
