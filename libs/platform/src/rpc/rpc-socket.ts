import { type Socket } from 'node:net';
import { TcpSocket } from '@nestjs/microservices';
import { FrameReader, RpcRefusal, type RpcRefusalReason } from './frame-reader.ts';
import { type RpcConnection, type RpcConnections } from './rpc-connections.ts';

const MOST_NAME_CHARACTERS = 128;
/** A larger message of a stranger is only parsed if it shows a token that is known: parsing is what costs. */
const STRANGERS_CHARACTERS = 4096;
/** Within which a message shows its token. */
const HEAD_CHARACTERS = 1024;
/** Wrong tokens, or none, on one connection. */
const MOST_DENIALS = 10;
const KEEP_ALIVE_MS = 60_000;

/**
 * One connection to the RPC server, in place of Nest's `JsonSocket`, which keeps what a stranger sends for as long as it
 * is below a hundred million characters, and logs what it can't read. Here a connection that breaks a rule is closed, and
 * what reaches Nest is a request: no events, which nothing here handles and whose patterns Nest would log.
 */
export class RpcSocket extends TcpSocket {
  readonly #connections: RpcConnections;
  /** Null when it was refused before it came here. */
  readonly #connection: RpcConnection | null;
  readonly #reader: FrameReader;
  #frameTimer: NodeJS.Timeout | null = null;
  #denials = 0;
  /** How much of what is not written yet the system is being given now. */
  #sendingLength = 0;

  constructor(socket: Socket, connections: RpcConnections) {
    super(socket);
    this.#connections = connections;
    this.#connection = connections.find(socket);
    this.#reader = new FrameReader(connections.limits.maxMessageBytes);
    socket.once('close', () => this.#endFrameTimer());
  }

  /** A lost connection is not an error of the service; Nest would log each as one. */
  override on(event: string, callback: (error?: unknown) => void): this {
    return event === 'error' ? this : super.on(event, callback);
  }

  /** Its caller has shown a token that is known, or needs none. */
  trust(): void {
    if (this.#connection === null || !this.#connections.isStranger(this.#connection)) return;
    this.#connections.trust(this.#connection);
    // a peer that is gone without a word
    this.socket.setKeepAlive(true, KEEP_ALIVE_MS);
  }

  /** Its caller has shown a token that is not known, or none. */
  deny(): void {
    if (++this.#denials >= MOST_DENIALS) this.refuse('denied');
  }

  refuse(reason: RpcRefusalReason): void {
    if (this.#connection !== null) this.#connections.refuse(this.#connection, reason);
  }

  protected override handleData(data: Buffer): void {
    const connection = this.#connection;
    if (connection === null || connection.socket.destroyed) return;
    const frames = this.#reader.read(data);
    this.#watchFrame(frames.length > 0);
    for (const frame of frames) {
      this.#assertWorthParsing(connection, frame);
      this.socket.emit('message', parseRequest(frame));
    }
    this.#connections.noteHeld(connection, this.#reader.heldBytes);
  }

  protected override handleDataError(error: unknown): void {
    if (!(error instanceof RpcRefusal)) throw error;
    this.refuse(error.reason);
  }

  /** A caller that does not read its answers is not read from either. */
  protected override handleSend(message: unknown, callback?: (error?: unknown) => void): void {
    const { socket } = this;
    // the answer that is being sent may be of any size: its caller may be reading it
    if (socket.writableLength - this.#sendingLength > this.#connections.limits.maxUnreadBytes) {
      this.refuse('answers-unread');
      return;
    }
    const text = JSON.stringify(message);
    const isFirst = socket.writableLength === 0;
    const isRoomLeft = socket.write(`${text.length}#${text}`, (error) => {
      // once something is sent, all that has been waiting follows at once
      this.#sendingLength = socket.writableLength;
      callback?.(error);
    });
    if (isFirst) this.#sendingLength = socket.writableLength;
    if (isRoomLeft || socket.isPaused()) return;
    socket.pause();
    socket.once('drain', () => socket.resume());
  }

  #assertWorthParsing(connection: RpcConnection, frame: string): void {
    if (frame.length <= STRANGERS_CHARACTERS || !this.#connections.isStranger(connection)) return;
    if (!this.#connections.isKnown(findToken(frame))) throw new RpcRefusal('denied');
  }

  #watchFrame(isNewFrame: boolean): void {
    const { isWithinFrame } = this.#reader;
    if (isNewFrame || !isWithinFrame) this.#endFrameTimer();
    if (isWithinFrame)
      this.#frameTimer ??= setTimeout(() => this.refuse('late'), this.#connections.limits.patienceMs).unref();
  }

  #endFrameTimer(): void {
    if (this.#frameTimer !== null) clearTimeout(this.#frameTimer);
    this.#frameTimer = null;
  }
}

/** Of a message as `sealRpc` and Nest's client make it, `{"pattern":…,"data":{"token":"…",…`, without parsing it. */
function findToken(frame: string): string {
  const [, rest = ''] = frame.slice(0, HEAD_CHARACTERS).split('"token":"', 2);
  return rest.slice(0, Math.max(rest.indexOf('"'), 0));
}

function parseRequest(frame: string): object {
  const packet = parseJson(frame);
  if (typeof packet === 'object' && packet !== null && 'id' in packet && 'pattern' in packet)
    if (isName(packet.id) && isName(packet.pattern)) return packet;
  throw new RpcRefusal('not-a-request');
}

function parseJson(frame: string): unknown {
  try {
    return JSON.parse(frame);
  } catch {
    throw new RpcRefusal('not-a-request');
  }
}

function isName(value: unknown): boolean {
  return typeof value === 'string' && value !== '' && value.length <= MOST_NAME_CHARACTERS;
}
