import { type Socket } from 'node:net';
import { TcpSocket } from '@nestjs/microservices';
import { FrameReader, RpcRefusal, type RpcRefusalReason } from './frame-reader.ts';
import { type RpcConnections } from './rpc-connections.ts';

const mostNameCharacters = 128;
/** A larger message of a stranger is only parsed if it shows a token that is known: parsing is what costs. */
const strangersCharacters = 4096;
/** Within which a message shows its token. */
const headCharacters = 1024;
/** Wrong tokens, or none, on one connection. */
const mostDenials = 10;
const keepAliveMs = 60_000;

/**
 * One connection to the RPC server, in place of Nest's `JsonSocket`, which keeps what a stranger sends for as long as it
 * is below a hundred million characters, and logs what it can't read. Here a connection that breaks a rule is closed, and
 * what reaches Nest is a request: no events, which nothing here handles and whose patterns Nest would log.
 */
export class RpcSocket extends TcpSocket {
  readonly #connections: RpcConnections;
  readonly #reader: FrameReader;
  #frameTimer: NodeJS.Timeout | null = null;
  #strangerTimer: NodeJS.Timeout | null;
  #denials = 0;
  #isRefused = false;

  constructor(socket: Socket, connections: RpcConnections) {
    super(socket);
    this.#connections = connections;
    const { maxMessageBytes, patienceMs } = connections.limits;
    this.#reader = new FrameReader(maxMessageBytes);
    this.#strangerTimer = setTimeout(() => this.refuse('late'), patienceMs).unref();
    socket.once('close', () => {
      this.#endTimers();
      connections.forget(this);
    });
    connections.admit(this);
  }

  get heldBytes(): number {
    return this.#reader.heldBytes;
  }

  /** A lost connection is no error of the service; Nest would log each as one. */
  override on(event: string, callback: (error?: unknown) => void): this {
    return event === 'error' ? this : super.on(event, callback);
  }

  /** Its caller has shown a token that is known, or needs none. */
  trust(): void {
    if (this.#strangerTimer === null) return;
    clearTimeout(this.#strangerTimer);
    this.#strangerTimer = null;
    this.#connections.trust(this);
    // a peer that is gone without a word
    this.socket.setKeepAlive(true, keepAliveMs);
  }

  /** Its caller has shown a token that is not known, or none. */
  deny(): void {
    if (++this.#denials >= mostDenials) this.refuse('denied');
  }

  refuse(reason: RpcRefusalReason): void {
    if (this.#isRefused) return;
    this.#isRefused = true;
    this.#connections.noteRefusal(reason, this.socket.remoteAddress);
    this.socket.destroy();
  }

  protected override handleData(data: Buffer): void {
    if (this.#isRefused) return;
    const frames = this.#reader.read(data);
    this.#watchFrame(frames.length > 0);
    for (const frame of frames) {
      this.#assertWorthParsing(frame);
      this.socket.emit('message', parseRequest(frame));
    }
    this.#connections.noteHeld(this);
  }

  protected override handleDataError(error: unknown): void {
    if (!(error instanceof RpcRefusal)) throw error;
    this.refuse(error.reason);
  }

  /** A caller that does not read its answers is not read from either. */
  protected override handleSend(message: unknown, callback?: (error?: unknown) => void): void {
    const text = JSON.stringify(message);
    const isRoomLeft = this.socket.write(`${text.length}#${text}`, callback);
    if (this.socket.writableLength > this.#connections.limits.maxUnreadBytes) this.refuse('answers-unread');
    if (isRoomLeft || this.socket.isPaused()) return;
    this.socket.pause();
    this.socket.once('drain', () => this.socket.resume());
  }

  #assertWorthParsing(frame: string): void {
    const isStranger = this.#strangerTimer !== null;
    if (isStranger && frame.length > strangersCharacters && !this.#connections.isKnown(findToken(frame)))
      throw new RpcRefusal('denied');
  }

  #watchFrame(isNewFrame: boolean): void {
    const { isWithinFrame } = this.#reader;
    if (this.#frameTimer !== null && (isNewFrame || !isWithinFrame)) {
      clearTimeout(this.#frameTimer);
      this.#frameTimer = null;
    }
    if (isWithinFrame)
      this.#frameTimer ??= setTimeout(() => this.refuse('late'), this.#connections.limits.patienceMs).unref();
  }

  #endTimers(): void {
    if (this.#frameTimer !== null) clearTimeout(this.#frameTimer);
    if (this.#strangerTimer !== null) clearTimeout(this.#strangerTimer);
  }
}

/** Of a message as `sealRpc` and Nest's client make it, `{"pattern":…,"data":{"token":"…",…`, without parsing it. */
function findToken(frame: string): string {
  const [, rest = ''] = frame.slice(0, headCharacters).split('"token":"', 2);
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
  return typeof value === 'string' && value !== '' && value.length <= mostNameCharacters;
}
