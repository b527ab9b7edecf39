import { type Socket } from 'node:net';
import { hostname } from 'node:os';
import mysql, { type Connection, type RowDataPacket } from 'mysql2';
import { DittoError } from '#kernel';
import { driverOptions, type MySqlConnectionOptions } from '../connection-options.ts';
import { encodeDump, encodeRegistration, frameCommand, sessionVariablesOf, type DumpStart } from './dump-commands.ts';
import { toSourceError } from '../errors/source-error.ts';
import { sessionStatement } from '../session-settings.ts';
import { PacketFramer } from './packet-framer.ts';
import { type ReplicaIdentity } from './replica-identity.ts';

/** What mysql2's connections have beyond their published types (mysql2 3.24, `lib/base/connection.js`). */
interface DriverConnection extends Connection {
  /** The socket; after an upgrade the TLS socket over it. */
  readonly stream: Socket;
  /** Plain or TLS, each chunk that comes is given to `execute`. */
  readonly packetParser: { execute: (chunk: Buffer) => void };
}

export interface DumpListener {
  /** Called before the first event: whether events have checksums before a format description says it. */
  readonly onStart: (hasChecksums: boolean) => void;
  /** Something came from the server, a part of an event at least. */
  readonly onBytes?: () => void;
  /**
   * One event. The bytes stay valid and unchanged after the call, so that parts of them may be kept; such a part keeps
   * the network chunk alive that it lies in. Throwing ends the dump.
   */
  readonly onEvent: (bytes: Buffer, start: number, end: number) => void;
  /** The first part of an event of `size` bytes, at least 16 MiB, before the rest has come. Throwing ends the dump. */
  readonly onLarge?: (bytes: Buffer, start: number, size: number) => void;
  /** Called once; no event comes after it. */
  readonly onError: (error: unknown) => void;
}

export interface DumpOptions {
  readonly connection: MySqlConnectionOptions;
  readonly start: DumpStart;
  /** Who has to answer; what is known of the server was read on another connection. MySQL's `server_uuid`. */
  readonly serverUuid?: string;
  readonly replica: ReplicaIdentity;
  readonly heartbeatMs: number;
  readonly listener: DumpListener;
}

const OK_MARKER = 0x00;
const ERROR_MARKER = 0xff;
/** How long the server waits for a reader that is paused; its default is a minute. */
const WRITE_TIMEOUT_SECONDS = 86_400;

type Phase = 'connecting' | 'preparing' | 'registering' | 'dumping' | 'ended';

/**
 * The dump of one server: one connection, registered as a replica. mysql2 connects, authenticates and sets the session
 * up; from the registration on the bytes are framed here. Semi-synchronous replication is never asked for.
 */
export class DumpConnection {
  readonly #options: DumpOptions;
  readonly #framer = new PacketFramer({
    onPacket: (bytes, start, end) => {
      this.#receive(bytes, start, end);
    },
    onLarge: (bytes, start, size) => {
      this.#listen(() => this.#options.listener.onLarge?.(bytes, start, size));
    },
  });
  #driver: DriverConnection | null = null;
  /** Below TLS, if there is any: only this one can be reset. */
  #socket: Socket | null = null;
  #phase: Phase = 'connecting';
  /** The loss of the connection, while packets that came before it are held. */
  #loss: { readonly error: unknown } | null = null;

  constructor(options: DumpOptions) {
    this.#options = options;
  }

  /** Of the server, once it is connected to. */
  get threadId(): number | null {
    return this.#driver?.threadId ?? null;
  }

  start(): void {
    try {
      this.#connect();
    } catch (error) {
      // before anything was sent: certificates that can't be used
      this.#end(error);
    }
  }

  #connect(): void {
    const driver = mysql.createConnection(driverOptions(this.#options.connection)) as DriverConnection;
    this.#driver = driver;
    this.#socket = driver.stream;
    driver.once('connect', () => {
      if (this.#phase === 'connecting') this.#phase = 'preparing';
    });
    driver.on('error', (error: unknown) => {
      this.#lose(error);
    });
    driver.query(this.#sessionStatement(), (error: unknown) => {
      if (error === null) this.#assertServer();
      else this.#end(error);
    });
  }

  /** No event is delivered from now on until `resume`; may be called by the listener while it gets one. */
  pause(): void {
    if (this.#phase === 'ended') return;
    this.#framer.pause();
    this.#driver?.stream.pause();
  }

  resume(): void {
    if (this.#phase === 'ended') return;
    this.#framer.resume();
    if (this.#framer.isPaused) return;
    if (this.#loss !== null) this.#end(this.#loss.error);
    else this.#driver?.stream.resume();
  }

  /**
   * Lets go of the connection at once. It is reset, not closed: the server's thread sees that at its next write, an
   * event or a heartbeat, where a closed connection would take it two. A reader with the same UUID ends it too.
   */
  stop(): void {
    this.#phase = 'ended';
    this.#framer.close();
    const socket = this.#socket;
    if (socket !== null && !socket.destroyed) {
      // a reset waits until the connection is made, which may never be; and while the driver ends it, TLS or not, libuv
      // refuses a reset (`uv_tcp_close_reset`), after which nothing would close the socket
      const isEnding = socket.writableEnded || this.#driver?.stream.writableEnded === true;
      if (socket.connecting || isEnding) socket.destroy();
      else socket.resetAndDestroy();
    }
    this.#driver?.destroy();
  }

  /**
   * Both spellings: `@master_…` and `@slave_…` before MySQL 8.0.26. Checksums: a log may hold files with them although
   * the server writes none now, and such files are refused to readers that don't say they know them; so this says
   * CRC32 whatever the server writes (`init_checksum_alg` in `sql/rpl_binlog_sender.cc`).
   */
  #sessionStatement(): string {
    const period = this.#options.heartbeatMs * 1_000_000;
    const { start, replica } = this.#options;
    const { uuid } = replica;
    return sessionStatement([
      `net_write_timeout = ${WRITE_TIMEOUT_SECONDS}`,
      `@source_heartbeat_period = ${period}, @master_heartbeat_period = ${period}`,
      "@source_binlog_checksum = 'CRC32', @master_binlog_checksum = 'CRC32'",
      `@replica_uuid = '${uuid}', @slave_uuid = '${uuid}'`,
      ...sessionVariablesOf(start),
    ]);
  }

  #assertServer(): void {
    const { serverUuid } = this.#options;
    if (serverUuid === undefined) {
      this.#register();
      return;
    }
    this.#driver?.query<RowDataPacket[]>('SELECT @@GLOBAL.server_uuid AS uuid', (error, rows) => {
      if (error !== null) this.#end(error);
      else if (rows[0]?.['uuid'] === serverUuid) this.#register();
      else this.#end(serverChanged(serverUuid, String(rows[0]?.['uuid'])));
    });
  }

  /** From here on mysql2 only reports the end of the connection. */
  #register(): void {
    const driver = this.#driver;
    if (driver === null || this.#phase === 'ended') return;
    const { onBytes } = this.#options.listener;
    driver.packetParser.execute = (chunk) => {
      onBytes?.();
      this.#framer.push(chunk);
    };
    this.#phase = 'registering';
    driver.stream.write(frameCommand(encodeRegistration(this.#options.replica.serverId, hostname())));
  }

  #receive(bytes: Buffer, start: number, end: number): void {
    if (bytes[start] !== OK_MARKER || start === end) {
      // an error, or the end of the dump (0xfe); whatever else comes is not understood
      const isError = bytes[start] === ERROR_MARKER && start < end;
      this.#end(isError ? readServerError(bytes.subarray(start, end)) : connectionLost('the server ended the dump'));
      return;
    }
    this.#listen(() => {
      if (this.#phase === 'dumping') this.#options.listener.onEvent(bytes, start + 1, end);
      else this.#beginDump();
    });
  }

  #listen(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#end(error);
    }
  }

  #beginDump(): void {
    this.#phase = 'dumping';
    // the rotate event that the server makes up comes first, before any format description, and has a checksum as the
    // session asked for it (`fake_rotate_event` in `sql/rpl_binlog_sender.cc`)
    this.#options.listener.onStart(true);
    const { start, replica } = this.#options;
    this.#driver?.stream.write(frameCommand(encodeDump(start, replica.serverId)));
  }

  #lose(error: unknown): void {
    if (this.#framer.isPaused) this.#loss ??= { error };
    else this.#end(error);
  }

  #end(error: unknown): void {
    if (this.#phase === 'ended') return;
    const connecting = this.#phase === 'connecting';
    this.#phase = 'ended';
    this.#framer.close();
    const { host, port } = this.#options.connection;
    this.#options.listener.onError(connecting ? toSourceError(error, `connecting to ${host}:${port}`, true) : error);
  }
}

function connectionLost(message: string): Error {
  return Object.assign(new Error(message), { code: 'PROTOCOL_CONNECTION_LOST' });
}

/** Between one connection and the next another server has taken over the address. */
function serverChanged(expected: string, serverUuid: string): DittoError {
  return new DittoError('DITTO_SOURCE_OTHER_SERVER', `server ${serverUuid} answers instead of ${expected}`, {
    retriable: true,
    context: { serverUuid, expected },
  });
}

/** An ERR packet: marker, number, `#` and SQL state, message (MySQL manual, "ERR_Packet"). */
function readServerError(packet: Buffer): Error {
  const hasState = packet[3] === 0x23;
  return Object.assign(new Error(packet.toString('utf8', hasState ? 9 : 3)), {
    errno: packet.length < 3 ? 0 : packet.readUInt16LE(1),
    sqlState: hasState ? packet.toString('latin1', 4, 9) : null,
  });
}
