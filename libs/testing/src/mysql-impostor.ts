import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { type Identity } from './certificates.ts';

const CLIENT_SSL = 0x800;
/** 4.1 protocol and passwords, plugins, transactions (MySQL source, `include/mysql_com.h`). */
const CAPABILITIES = 0x1 | 0x8 | 0x200 | 0x2000 | 0x8000 | 0x8_0000 | 0x20_0000;
const HEADER_BYTES = 4;

type Handler = (socket: Socket, record: (bytes: Buffer) => void) => void;

/**
 * Whoever sits between a client and its MySQL server, or in its place: keeps all that clients send as it came over the
 * network, and what was in it when it ends the TLS itself.
 */
export class MySqlImpostor {
  readonly host = '127.0.0.1';
  /** What clients have sent, as it could be read on the way. */
  readonly received: Buffer[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(handle: Handler) {
    this.#server = createServer((socket) => {
      this.keep(socket);
      handle(socket, (bytes) => this.received.push(bytes));
    });
  }

  /** Passes everything on; takes the offer of TLS out of what the server says first, if so asked. */
  static relay(target: { readonly host: string; readonly port: number }, stripsTls: boolean): Promise<MySqlImpostor> {
    const impostor: MySqlImpostor = new MySqlImpostor((client, record) => {
      const server = impostor.keep(connect(target));
      client.on('data', (bytes) => {
        record(bytes);
        server.write(bytes);
      });
      client.on('close', () => server.destroy());
      server.on('close', () => client.destroy());
      server.once('data', (greeting) => {
        client.write(stripsTls ? withoutTls(greeting) : greeting);
        server.on('data', (bytes) => client.write(bytes));
      });
    });
    return impostor.#listen();
  }

  /** A server that asks every client for the password of `mysql_clear_password`, by TLS when it has a certificate. */
  static askingForClearPassword(identity?: Identity): Promise<MySqlImpostor> {
    const impostor: MySqlImpostor = new MySqlImpostor((client, record) => {
      const sequence = 1 + (identity ? 1 : 0);
      const ask = (socket: Socket): void => {
        socket.on('data', record);
        socket.once('data', () => socket.write(switchToClearPassword(sequence + 1)));
      };
      client.write(greet(identity !== undefined));
      if (identity === undefined) ask(client);
      else
        client.once('data', (bytes) => {
          // what comes in one piece with the request for TLS belongs to its handshake
          client.pause();
          const rest = bytes.subarray(HEADER_BYTES + bytes.readUIntLE(0, 3));
          if (rest.length > 0) client.unshift(rest);
          ask(impostor.keep(new TLSSocket(client, { isServer: true, ...identity })));
        });
    });
    return impostor.#listen();
  }

  /** A server that says its greeting, which offers TLS, and nothing else. */
  static silentAfterGreeting(): Promise<MySqlImpostor> {
    const impostor = new MySqlImpostor((client, record) => {
      client.on('data', record);
      client.write(greet(true));
    });
    return impostor.#listen();
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get receivedBytes(): Buffer {
    return Buffer.concat(this.received);
  }

  keep(socket: Socket): Socket {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
    return socket;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  async #listen(): Promise<this> {
    await once(this.#server.listen(0, this.host), 'listening');
    return this;
  }
}

/** One packet of the protocol (MySQL manual, "MySQL Packets"). */
function mySqlPacket(sequence: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUIntLE(payload.length, 0, 3);
  header.writeUInt8(sequence, 3);
  return Buffer.concat([header, payload]);
}

/** `Protocol::HandshakeV10`. */
function greet(offersTls: boolean): Buffer {
  const capabilities = CAPABILITIES | (offersTls ? CLIENT_SSL : 0);
  const numbers = Buffer.alloc(8);
  numbers.writeUInt16LE(capabilities & 0xffff, 0);
  numbers.writeUInt8(255, 2);
  numbers.writeUInt16LE(2, 3);
  numbers.writeUInt16LE(capabilities >>> 16, 5);
  numbers.writeUInt8(21, 7);
  const scramble = Buffer.from('abcdefghijklmnopqrst');
  const parts = [Buffer.from('\x0a9.7.0\0\x07\0\0\0'), scramble.subarray(0, 8), Buffer.alloc(1), numbers];
  return mySqlPacket(
    0,
    Buffer.concat([
      ...parts,
      Buffer.alloc(10),
      scramble.subarray(8),
      Buffer.alloc(1),
      Buffer.from('caching_sha2_password\0'),
    ]),
  );
}

/** `Protocol::AuthSwitchRequest`. */
function switchToClearPassword(sequence: number): Buffer {
  return mySqlPacket(sequence, Buffer.from('\xfemysql_clear_password\0\0', 'latin1'));
}

function withoutTls(greeting: Buffer): Buffer {
  const capabilitiesAt = greeting.indexOf(0, HEADER_BYTES + 1) + 1 + 4 + 8 + 1;
  const changed = Buffer.from(greeting);
  changed.writeUInt16LE(changed.readUInt16LE(capabilitiesAt) & ~CLIENT_SSL, capabilitiesAt);
  return changed;
}
