import { type Server, type Socket } from 'node:net';
import { type Type } from '@nestjs/common';
import { DittoError, type Logger } from '#kernel';
import { addressOf } from '../http/socket-address.ts';
import { LimitedLog } from '../logging/limited-log.ts';
import { type RpcRefusalReason } from './frame-reader.ts';
import { RpcSocket } from './rpc-socket.ts';

export interface RpcLimits {
  readonly maxMessageBytes: number;
  readonly maxConnections: number;
  /** For a new connection to show a token (with TLS, its handshake is part of that), and for a frame to arrive. */
  readonly patienceMs: number;
  /** Answers that a caller has not read. */
  readonly maxUnreadBytes: number;
}

export interface RpcConnectionsOptions {
  readonly limits: RpcLimits;
  readonly logger: Logger;
  /** Whether it is a configured token, or none is configured. */
  readonly isKnown: (token: string) => boolean;
  readonly onRefusal: (reason: RpcRefusalReason) => void;
}

/** One that was accepted. */
export interface RpcConnection {
  /** With TLS, the socket under it. */
  readonly socket: Socket;
  readonly address: string;
  /** Ends when it has shown a token. */
  readonly patience: NodeJS.Timeout;
}

/** All incomplete frames of strangers together may hold this many times the largest message. */
const STRANGERS_SHARE = 4;

/**
 * The connections of the RPC server, from when they are accepted. A connection is a stranger until it has shown a token.
 * Whatever strangers do, those that are known keep their connections, and new ones find room: the oldest stranger makes
 * way for a new connection, and the one that holds most when all strangers together hold too much.
 */
export class RpcConnections {
  readonly limits: RpcLimits;
  readonly #options: RpcConnectionsOptions;
  readonly #log: LimitedLog;
  readonly #open = new Map<string, RpcConnection>();
  /** Oldest first, with the bytes of the incomplete frame of each. */
  readonly #strangers = new Map<RpcConnection, number>();
  #heldBytes = 0;

  constructor(options: RpcConnectionsOptions) {
    this.limits = options.limits;
    this.#options = options;
    this.#log = new LimitedLog({ logger: options.logger });
  }

  get count(): number {
    return this.#open.size;
  }

  /** What Nest's TCP server is given to make of each socket. */
  socketClass(): Type<RpcSocket> {
    // eslint-disable-next-line @typescript-eslint/no-this-alias
    const connections = this;
    return class extends RpcSocket {
      constructor(socket: Socket) {
        super(socket, connections);
      }
    };
  }

  isKnown(token: string): boolean {
    return this.#options.isKnown(token);
  }

  /** With TLS too, this sees a connection before its handshake. */
  watch(server: Server): void {
    server.prependListener('connection', (socket: Socket) => this.#admit(socket));
  }

  /** Of this socket, or of the TLS socket over it; null when it was refused. */
  find(socket: Socket): RpcConnection | null {
    return this.#open.get(addressOf(socket)) ?? null;
  }

  isStranger(connection: RpcConnection): boolean {
    return this.#strangers.has(connection);
  }

  trust(connection: RpcConnection): void {
    clearTimeout(connection.patience);
    this.#heldBytes -= this.#strangers.get(connection) ?? 0;
    this.#strangers.delete(connection);
  }

  noteHeld(connection: RpcConnection, bytes: number): void {
    const before = this.#strangers.get(connection);
    if (before === undefined) return;
    this.#strangers.set(connection, bytes);
    this.#heldBytes += bytes - before;
    if (this.#heldBytes <= STRANGERS_SHARE * this.limits.maxMessageBytes) return;
    const [[greediest] = [connection]] = [...this.#strangers].sort(([, one], [, other]) => other - one);
    this.refuse(greediest, 'memory');
  }

  refuse(connection: RpcConnection, reason: RpcRefusalReason): void {
    const { socket } = connection;
    // at once, not when the socket says that it is closed: others may connect before that
    this.#forget(connection);
    if (socket.destroyed) return;
    this.#options.onRefusal(reason);
    const { code, message, remedy } = createRefusedError(reason);
    this.#log.warn(message, { reason, address: socket.remoteAddress, code, remedy });
    socket.destroy();
  }

  #admit(socket: Socket): void {
    const patience = setTimeout(() => this.refuse(connection, 'late'), this.limits.patienceMs).unref();
    const connection = { socket, address: addressOf(socket), patience };
    socket.once('close', () => this.#forget(connection));
    if (this.#open.size >= this.limits.maxConnections) {
      const [oldest = connection] = this.#strangers.keys();
      this.refuse(oldest, 'connections');
      if (oldest === connection) return;
    }
    this.#open.set(connection.address, connection);
    this.#strangers.set(connection, 0);
  }

  #forget(connection: RpcConnection): void {
    this.trust(connection);
    if (this.#open.get(connection.address) === connection) this.#open.delete(connection.address);
  }
}

const REMEDIES: Readonly<Record<RpcRefusalReason, string>> = {
  'not-a-frame': 'Find out who sends something else than Ditto to this port.',
  'too-large': 'Raise dcs.rpc.maxMessageBytes if it is a service of Ditto.',
  'not-a-request': 'Find out who sends something else than Ditto to this port.',
  late: 'None needed for a probe of the port; else look at the network between the services.',
  connections: 'Raise dcs.rpc.maxConnections if it is a service of Ditto.',
  memory: 'Let only the services of Ditto reach this port.',
  denied: 'Give DSS and DWS a token of auth.tokens with the role operate.',
  'answers-unread': 'Look at the process that asks and does not read the answers.',
};

function createRefusedError(reason: RpcRefusalReason): DittoError {
  return new DittoError('DITTO_RPC_REFUSED', 'A connection to the RPC server was closed', {
    remedy: REMEDIES[reason],
    context: { reason },
  });
}
