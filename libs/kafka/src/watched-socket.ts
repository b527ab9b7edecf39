import { connect, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions as TlsOptions } from 'node:tls';

import { expectTlsPeer } from '#kernel';

import { TLS_REQUIRED } from './kafka-refusals.ts';

export interface WatchedSocketOptions {
  readonly host: string;
  readonly port: number;
  readonly ssl?: TlsOptions | undefined;
  readonly onConnect: () => void;
}

/** From change_cipher_spec to application_data. */
const TLS_RECORD_TYPES = { first: 20, last: 23 };
const TLS_MAJOR_VERSION = 3;
const KEEP_ALIVE_MS = 60_000;
/** JoinGroup and SyncGroup: a broker answers when all members of the group are there. */
const PATIENT_REQUESTS: ReadonlySet<number> = new Set([11, 14]);
/** Before it are the bytes of a request's length. */
const API_KEY_OFFSET = 4;

/**
 * Sockets for kafkajs, which gives a request up after a while but keeps the connection of a peer that says nothing any
 * more, and sends the next request over it too. A connection that answers nothing for `silenceMs` after a request is ended.
 */
export function createWatchedSockets(silenceMs: number): (options: WatchedSocketOptions) => Socket {
  return ({ host, port, ssl, onConnect }) => {
    const socket: Socket = ssl
      ? connectTls({ host, port, ...ssl, ...expectTlsPeer(host, ssl.servername) }, onConnect)
      : connect({ host, port }, onConnect);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    if (!ssl) socket.once('data', (bytes: Buffer) => refuseTls(socket, bytes));
    watch(socket, silenceMs);
    return socket;
  };
}

/**
 * Without TLS a broker's answer begins with its length, which is never the beginning of a TLS record (RFC 8446, section
 * 5.1).
 */
function refuseTls(socket: Socket, bytes: Buffer): void {
  const [type = 0, major] = bytes;
  if (type < TLS_RECORD_TYPES.first || type > TLS_RECORD_TYPES.last || major !== TLS_MAJOR_VERSION) return;
  socket.destroy(Object.assign(new Error('the broker answers with TLS'), { code: TLS_REQUIRED }));
}

function watch(socket: Socket, silenceMs: number): void {
  let timer: NodeJS.Timeout | undefined;
  const write = socket.write.bind(socket) as (...given: unknown[]) => boolean;
  socket.write = (...given: unknown[]): boolean => {
    const [bytes] = given;
    const isPatient = Buffer.isBuffer(bytes) && PATIENT_REQUESTS.has(bytes.readInt16BE(API_KEY_OFFSET));
    if (!isPatient)
      timer ??= setTimeout(() => {
        socket.destroy(Object.assign(new Error(`no answer for ${silenceMs} ms`), { code: 'ETIMEDOUT' }));
      }, silenceMs).unref();
    return write(...given);
  };
  const sawLife = (): void => {
    clearTimeout(timer);
    timer = undefined;
  };
  socket.on('data', sawLife);
  socket.on('close', sawLife);
}
