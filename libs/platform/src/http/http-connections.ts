import { type Server as HttpServer } from 'node:http';
import { type Socket } from 'node:net';
import { addressOf } from './socket-address.ts';

export interface HttpConnectionsOptions {
  /** Most connections at the same time. */
  readonly most: number;
  /** How long answers that are under way may take once the server closes. */
  readonly graceMs: number;
}

interface Connection {
  readonly socket: Socket;
  /** A whole request of it has arrived and is not answered yet. */
  busy: boolean;
}

/**
 * The connections of an HTTP server. One more than `most` ends the oldest that no request is being answered on, so that
 * those who only hold connections keep nobody out. When the server closes, only answers that are under way are waited
 * for: a request that never arrives in whole would hold up the end for ever.
 */
export class HttpConnections {
  readonly #options: HttpConnectionsOptions;
  readonly #open = new Map<string, Connection>();
  #closing = false;

  constructor(options: HttpConnectionsOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#open.size;
  }

  /** With TLS too, this sees the connection under it: a handshake that never ends counts and is ended as any other. */
  watch(server: HttpServer): void {
    server.on('connection', (socket: Socket) => this.#admit(socket));
  }

  /** A request of this socket has arrived with its body. */
  begin(socket: Socket): void {
    const connection = this.#open.get(addressOf(socket));
    if (connection) connection.busy = true;
  }

  /** It is answered. */
  end(socket: Socket): void {
    const connection = this.#open.get(addressOf(socket));
    if (!connection) return;
    connection.busy = false;
    if (this.#closing) socket.destroySoon();
  }

  close(): void {
    this.#closing = true;
    for (const { socket, busy } of this.#open.values()) if (!busy) socket.destroy();
    setTimeout(() => {
      for (const { socket } of this.#open.values()) socket.destroy();
    }, this.#options.graceMs).unref();
  }

  #admit(socket: Socket): void {
    if (this.#closing || (this.#open.size >= this.#options.most && !this.#makeRoom())) {
      socket.destroy();
      return;
    }
    const address = addressOf(socket);
    const connection = { socket, busy: false };
    this.#open.set(address, connection);
    socket.once('close', () => {
      if (this.#open.get(address) === connection) this.#open.delete(address);
    });
  }

  #makeRoom(): boolean {
    for (const [address, { socket, busy }] of this.#open) {
      if (busy) continue;
      this.#open.delete(address);
      socket.destroy();
      return true;
    }
    return false;
  }
}
