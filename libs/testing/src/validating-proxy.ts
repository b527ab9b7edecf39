import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { encodeMongoReply, OP_MSG } from './mongo-reply.ts';
import { onMongoMessages, readCommandName } from './stepping-down-proxy.ts';

/** DocumentValidationFailure of MongoDB's `error_codes.yml`; FerretDB has no validators. */
const VALIDATION_FAILURE = 121;

/**
 * Stands between clients and a MongoDB server, and answers as one whose validator refuses each write that has this text.
 * Only for writes of one document at a time.
 */
export class ValidatingProxy {
  refused = 0;
  readonly #forbidden: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(target: { readonly host: string; readonly port: number }, forbidden: string) {
    this.#forbidden = forbidden;
    this.#server = createServer((client) => this.#serve(client, this.#keep(connect(target))));
  }

  static async open(
    target: { readonly host: string; readonly port: number },
    forbidden: string,
  ): Promise<ValidatingProxy> {
    const proxy = new ValidatingProxy(target, forbidden);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #keep(socket: Socket): Socket {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
    return socket;
  }

  #serve(client: Socket, server: Socket): void {
    this.#keep(client);
    client.on('close', () => server.destroy());
    server.on('close', () => client.destroy());
    server.on('data', (bytes) => client.write(bytes));
    onMongoMessages(client, (message) => {
      if (!this.#isRefused(message)) {
        server.write(message);
        return;
      }
      this.refused++;
      const writeErrors = [{ index: 0, code: VALIDATION_FAILURE, errmsg: 'Document failed validation' }];
      client.write(encodeMongoReply(message.readInt32LE(4), { ok: 1, n: 0, nModified: 0, writeErrors }, false));
    });
  }

  #isRefused(message: Buffer): boolean {
    if (message.readInt32LE(12) !== OP_MSG) return false;
    return ['insert', 'update'].includes(readCommandName(message)) && message.includes(this.#forbidden);
  }
}
