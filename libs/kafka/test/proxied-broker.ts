import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

import { FaultProxy } from '#testing';

export interface ProxiedBroker {
  /** What stands between the clients and the broker. */
  readonly proxy: FaultProxy;
  /** Where clients reach it. */
  readonly address: string;
  readonly close: () => void;
}

/** Host and port as answers to Metadata and FindCoordinator have them. */
function encodePlace(host: string, port: number): Buffer {
  const place = Buffer.alloc(host.length + 4);
  place.write(host);
  place.writeInt32BE(port, host.length);
  return place;
}

/** A proxy before a broker, which says that it is reached there: all connections of its clients go through the proxy. */
export async function openProxiedBroker(broker: { host: string; port: number }): Promise<ProxiedBroker> {
  const proxy = await FaultProxy.open(broker);
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(proxy.port, proxy.host);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
    }
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
    client.pipe(upstream);
    upstream.on('data', (bytes: Buffer) => {
      const place = encodePlace(broker.host, broker.port);
      for (let at = bytes.indexOf(place); at >= 0; at = bytes.indexOf(place, at))
        encodePlace(broker.host, port).copy(bytes, at);
      client.write(bytes);
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    proxy,
    address: `127.0.0.1:${port}`,
    close: () => {
      proxy.close();
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
