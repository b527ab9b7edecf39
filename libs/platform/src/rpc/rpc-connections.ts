import { type Socket } from 'node:net';
import { type Type } from '@nestjs/common';
import { DittoError, type Logger } from '#kernel';
import { LimitedLog } from '../logging/limited-log.ts';
import { type RpcRefusalReason } from './frame-reader.ts';
import { RpcSocket } from './rpc-socket.ts';

export interface RpcLimits {
  readonly maxMessageBytes: number;
  readonly maxConnections: number;
  /** For a new connection to show a token, and for a frame to arrive. */
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

/** All incomplete frames of strangers together may hold this many times the largest message. */
const strangersShare = 4;

/**
 * The connections of the RPC server. A connection is a stranger until it has shown a token. Whatever strangers do, those
 * that are known keep their connections, and new ones find room: the oldest stranger makes way for a new connection, and
 * the one that holds most when all strangers together hold too much.
 */
export class RpcConnections {
  readonly limits: RpcLimits;
  readonly #options: RpcConnectionsOptions;
  readonly #log: LimitedLog;
  readonly #open = new Set<RpcSocket>();
  /** Oldest first, with the bytes of the incomplete frame of each. */
  readonly #strangers = new Map<RpcSocket, number>();
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

  admit(socket: RpcSocket): void {
    if (this.#open.size >= this.limits.maxConnections) {
      const [oldest = socket] = this.#strangers.keys();
      this.#drop(oldest, 'connections');
      if (oldest === socket) return;
    }
    this.#open.add(socket);
    this.#strangers.set(socket, 0);
  }

  trust(socket: RpcSocket): void {
    this.#heldBytes -= this.#strangers.get(socket) ?? 0;
    this.#strangers.delete(socket);
  }

  forget(socket: RpcSocket): void {
    this.trust(socket);
    this.#open.delete(socket);
  }

  noteHeld(socket: RpcSocket): void {
    const before = this.#strangers.get(socket);
    if (before === undefined) return;
    this.#strangers.set(socket, socket.heldBytes);
    this.#heldBytes += socket.heldBytes - before;
    if (this.#heldBytes <= strangersShare * this.limits.maxMessageBytes) return;
    const [[greediest] = [socket]] = [...this.#strangers].sort(([, one], [, other]) => other - one);
    this.#drop(greediest, 'memory');
  }

  noteRefusal(reason: RpcRefusalReason, address: string | undefined): void {
    this.#options.onRefusal(reason);
    const { code, message, remedy } = createRefusedError(reason);
    this.#log.warn(message, { reason, address, code, remedy });
  }

  /** At once, not when the socket says that it is closed: others may connect before that. */
  #drop(socket: RpcSocket, reason: RpcRefusalReason): void {
    this.forget(socket);
    socket.refuse(reason);
  }
}

const remedies: Readonly<Record<RpcRefusalReason, string>> = {
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
    remedy: remedies[reason],
    context: { reason },
  });
}
