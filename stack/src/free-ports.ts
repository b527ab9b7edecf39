import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { randomInt } from 'node:crypto';
import { DittoError } from '#kernel';

const LOWEST_PORT = 10_000;

/**
 * Free ports of the loopback address. They lie below the range from which the kernel takes the ports of outgoing
 * connections: a server that is down for a moment must find its port free when it comes back.
 */
export async function findFreePorts(count: number): Promise<number[]> {
  const highestPort = readEphemeralStart() - 1;
  const held = new Map<number, Server>();
  for (let attempt = 0; held.size < count; attempt++) {
    if (attempt > 200 + count * 20)
      throw new DittoError(
        'DITTO_STACK_NO_FREE_PORT',
        `No ${count} free ports between ${LOWEST_PORT} and ${highestPort}.`,
      );
    const port = randomInt(LOWEST_PORT, highestPort);
    if (held.has(port)) continue;
    const server = await listen(port);
    if (server !== null) held.set(port, server);
  }
  await Promise.all([...held.values()].map((server) => new Promise((resolve) => server.close(resolve))));
  return [...held.keys()];
}

function readEphemeralStart(): number {
  const start = Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').trim().split(/\s+/)[0]);
  return start > LOWEST_PORT + 1_000 ? start : 32_768;
}

function listen(port: number): Promise<Server | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(null));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => resolve(server));
  });
}
