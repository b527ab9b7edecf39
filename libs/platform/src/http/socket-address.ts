import { type Socket } from 'node:net';

/**
 * Both ends of a connection: what a socket and the TLS socket over it have in common. One port of a client can be
 * connected to several addresses of this machine at the same time.
 */
export function addressOf({ remoteAddress = '', remotePort = 0, localAddress = '', localPort = 0 }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}
