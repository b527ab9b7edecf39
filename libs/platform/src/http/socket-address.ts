import { type Socket } from 'node:net';

/** Where the other end is: what a socket and the TLS socket over it have in common. */
export function addressOf({ remoteAddress = '', remotePort = 0 }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
