import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';

export type Direction = 'toServer' | 'toClient';

export interface Silence {
  /** Both when absent. */
  readonly direction?: Direction;
  /** `held` (the default) comes through at `restore`; `swallowed` never does. */
  readonly bytes?: 'held' | 'swallowed';
  /**
   * Each connection falls silent by itself, at the first bytes to the server that contain this text. With the direction
   * `toClient` the request still arrives and its answer does not; otherwise the request is the first that does not.
   */
  readonly from?: string;
  /** False: connections that are made from now on work. */
  readonly newConnections?: boolean;
}

/** Bytes by direction. */
export type ByteCounts = Readonly<Record<Direction, number>>;

const DIRECTIONS: readonly Direction[] = ['toServer', 'toClient'];
/** So much waits in the proxy before it stops reading; what is held by a silence is not bounded. */
const MAX_QUEUED_BYTES = 1024 * 1024;

/**
 * A TCP proxy before one server, so that a test can take that server away, slow it down, or make it silent, without
 * touching it. What a client sends before it closes its connection still arrives, also when it was held until then.
 */
export class FaultProxy {
  readonly host = '127.0.0.1';
  /** Where new connections go; may change, as what a name points to. */
  target: { readonly host: string; readonly port: number };
  readonly #server: Server;
  readonly #connections = new Set<ProxiedConnection>();
  readonly #past = { received: { toServer: 0, toClient: 0 }, delivered: { toServer: 0, toClient: 0 } };
  #accepted = 0;
  #isCut = false;
  #silence: Silence | null = null;
  readonly #pace: Record<Direction, Pace> = { toServer: { ...unhindered }, toClient: { ...unhindered } };

  private constructor(target: { readonly host: string; readonly port: number }) {
    this.target = target;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
  }

  static async open(target: { readonly host: string; readonly port: number }): Promise<FaultProxy> {
    const proxy = new FaultProxy(target);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Connections accepted since the start, those that were cut at once included. */
  get acceptedConnections(): number {
    return this.#accepted;
  }

  get openConnections(): number {
    return this.#connections.size;
  }

  /** What senders have sent since the start. */
  get receivedBytes(): ByteCounts {
    return this.#count('received');
  }

  /** What was passed on since the start. */
  get deliveredBytes(): ByteCounts {
    return this.#count('delivered');
  }

  /** Closes all connections, and each new one at once, until `restore`. */
  cut(): void {
    this.#isCut = true;
    this.cutConnections();
  }

  /** Closes the connections that are there; new ones are served. */
  cutConnections(): void {
    for (const connection of this.#connections) connection.destroy();
  }

  /** Connections stay open, and nothing comes through, until `restore`. */
  silence(silence: Silence = {}): void {
    this.#silence = silence;
    for (const connection of this.#connections) connection.silence(silence);
  }

  /** All bytes arrive so much later, until `restore`. */
  delay(delayMs: number, direction?: Direction): void {
    for (const one of DIRECTIONS) if (direction === undefined || one === direction) this.#pace[one].delayMs = delayMs;
  }

  /** Each connection carries so many bytes a second at most, until `restore`. */
  throttle(bytesPerSecond: number, direction?: Direction): void {
    for (const one of DIRECTIONS)
      if (direction === undefined || one === direction) this.#pace[one].bytesPerSecond = bytesPerSecond;
  }

  /** Ends this direction of the connections that are there; the other one works on. */
  halfClose(direction: Direction): void {
    for (const connection of this.#connections) connection.end(direction);
  }

  /** Everything works again, and what was held comes through. */
  restore(): void {
    this.#isCut = false;
    this.#silence = null;
    for (const direction of DIRECTIONS) Object.assign(this.#pace[direction], unhindered);
    for (const connection of this.#connections) connection.restore();
  }

  close(): void {
    this.cut();
    this.#server.close();
  }

  #accept(client: Socket): void {
    this.#accepted += 1;
    if (this.#isCut) return void client.destroy();
    const server = connect({ ...this.target, allowHalfOpen: true });
    const connection = new ProxiedConnection(client, server, this.#pace, () => {
      this.#connections.delete(connection);
      for (const direction of DIRECTIONS) {
        this.#past.received[direction] += connection.flows[direction].receivedBytes;
        this.#past.delivered[direction] += connection.flows[direction].deliveredBytes;
      }
    });
    this.#connections.add(connection);
    if (this.#silence !== null && this.#silence.newConnections !== false) connection.silence(this.#silence);
  }

  #count(what: 'received' | 'delivered'): ByteCounts {
    const sum = { ...this.#past[what] };
    for (const { flows } of this.#connections)
      for (const direction of DIRECTIONS) sum[direction] += flows[direction][`${what}Bytes`];
    return sum;
  }
}

interface Pace {
  delayMs: number;
  bytesPerSecond: number;
}

const unhindered: Readonly<Pace> = { delayMs: 0, bytesPerSecond: Infinity };

/** Two flows. It is over when both of its sockets are closed. */
class ProxiedConnection {
  readonly flows: Readonly<Record<Direction, Flow>>;
  readonly #sockets: readonly Socket[];
  #silence: Silence | null = null;

  constructor(client: Socket, server: Socket, pace: Readonly<Record<Direction, Pace>>, onClosed: () => void) {
    this.#sockets = [client, server];
    this.flows = {
      toServer: new Flow(client, server, pace.toServer, (bytes) => this.#look(bytes)),
      toClient: new Flow(server, client, pace.toClient, () => undefined),
    };
    let open = this.#sockets.length;
    const onClose = () => {
      open -= 1;
      if (open === 0) onClosed();
    };
    for (const socket of this.#sockets) {
      socket.setNoDelay(true);
      socket.on('error', () => socket.destroy());
      socket.on('close', onClose);
    }
  }

  silence(silence: Silence): void {
    if (silence.from === undefined) this.#fallSilent(silence);
    else this.#silence = silence;
  }

  restore(): void {
    this.#silence = null;
    for (const direction of DIRECTIONS) this.flows[direction].release();
  }

  end(direction: Direction): void {
    this.flows[direction].end();
  }

  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #look(bytes: Buffer): void {
    if (this.#silence?.from !== undefined && bytes.includes(this.#silence.from)) this.#fallSilent(this.#silence);
  }

  #fallSilent({ direction, bytes = 'held' }: Silence): void {
    this.#silence = null;
    for (const one of DIRECTIONS) if (direction === undefined || one === direction) this.flows[one].stop(bytes);
  }
}

/** What one side sends to the other, in its order, its end included. */
class Flow {
  receivedBytes = 0;
  deliveredBytes = 0;
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #pace: Pace;
  readonly #queue: { readonly item: Buffer | 'end' | 'close'; readonly at: number }[] = [];
  #queuedBytes = 0;
  #stopped: 'held' | 'swallowed' | null = null;
  #isEnded = false;
  #isPumping = false;

  constructor(from: Socket, to: Socket, pace: Pace, onBytes: (bytes: Buffer) => void) {
    this.#from = from;
    this.#to = to;
    this.#pace = pace;
    from.on('data', (bytes) => {
      this.receivedBytes += bytes.length;
      onBytes(bytes);
      this.#push(bytes);
    });
    from.on('end', () => this.#push('end'));
    from.on('close', () => this.#push('close'));
  }

  stop(bytes: 'held' | 'swallowed'): void {
    this.#stopped = bytes;
    this.#from.resume();
  }

  release(): void {
    this.#stopped = null;
    void this.#pump();
  }

  end(): void {
    this.#isEnded = true;
    this.#to.end();
  }

  #push(item: Buffer | 'end' | 'close'): void {
    if (item instanceof Buffer && (this.#isEnded || this.#stopped === 'swallowed')) return;
    this.#queue.push({ item, at: performance.now() });
    if (item instanceof Buffer) this.#queuedBytes += item.length;
    if (this.#queuedBytes > MAX_QUEUED_BYTES && this.#stopped === null) this.#from.pause();
    void this.#pump();
  }

  async #pump(): Promise<void> {
    if (this.#isPumping) return;
    this.#isPumping = true;
    for (let next = this.#queue[0]; next !== undefined && this.#stopped === null; next = this.#queue[0]) {
      const waitMs = next.at + this.#pace.delayMs - performance.now();
      if (waitMs > 0) await wait(waitMs);
      // the silence may have begun meanwhile
      if (this.#isStopped()) break;
      this.#queue.shift();
      await this.#deliver(next.item);
    }
    this.#isPumping = false;
  }

  async #deliver(item: Buffer | 'end' | 'close'): Promise<void> {
    if (item === 'close') {
      this.#to.destroySoon();
      return;
    }
    if (item === 'end') {
      this.#to.end();
      return;
    }
    this.#queuedBytes -= item.length;
    if (this.#queuedBytes <= MAX_QUEUED_BYTES) this.#from.resume();
    for (let offset = 0; offset < item.length;) {
      const { bytesPerSecond } = this.#pace;
      const piece = item.subarray(offset, offset + Math.max(1, Math.min(item.length, bytesPerSecond / 50)));
      offset += piece.length;
      if (this.#to.destroyed || this.#to.writableEnded) return;
      this.deliveredBytes += piece.length;
      if (!this.#to.write(piece)) await Promise.race([once(this.#to, 'drain'), once(this.#to, 'close')]).catch(() => 0);
      if (bytesPerSecond !== Infinity) await wait((piece.length / bytesPerSecond) * 1000);
    }
  }

  #isStopped(): boolean {
    return this.#stopped !== null;
  }
}
