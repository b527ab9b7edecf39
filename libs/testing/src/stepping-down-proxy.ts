import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { mongo } from 'mongoose';
import { encodeMongoReply, OP_MSG } from './mongo-reply.ts';

/**
 * What becomes of a command: `refused` before it is carried out; `interrupted` after that, so that its sender does not
 * know; `unconfirmed`: a write is carried out, and no majority is said to have it.
 */
export type Way = 'refused' | 'interrupted' | 'unconfirmed';
/** What it happens to; the others are served. */
export type Commands = 'reads' | 'writes';

/** As MongoDB's `error_codes.yml` has them: what members of a replica set answer while the primary changes. */
export const STATE_CHANGE_CODES = {
  NotWritablePrimary: 10107,
  PrimarySteppedDown: 189,
  InterruptedDueToReplStateChange: 11602,
  ShutdownInProgress: 91,
} as const;
export type StateChange = keyof typeof STATE_CHANGE_CODES;

export interface Trouble {
  readonly name: StateChange;
  readonly way: Way;
  readonly commands: Commands;
}

const WRITES: readonly string[] = ['insert', 'update', 'delete'];
/** Every member answers these, whatever its state. */
const ALWAYS: readonly string[] = ['hello', 'isMaster', 'ismaster', 'ping', 'saslStart', 'saslContinue', 'endSessions'];
const HEADER_BYTES = 16;
/** Flags, and the kind of the first section, which is the command. */
const COMMAND_AT = HEADER_BYTES + 5;

/** Stands between clients and a MongoDB server, and answers as a replica set does whose primary changes. */
export class SteppingDownProxy {
  /** How many commands were answered so. */
  readonly answered = new Map<string, number>();
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #trouble: Trouble | null = null;

  private constructor(target: { readonly host: string; readonly port: number }) {
    this.#server = createServer((client) => this.#serve(client, this.#keep(connect(target))));
  }

  static async open(target: { readonly host: string; readonly port: number }): Promise<SteppingDownProxy> {
    const proxy = new SteppingDownProxy(target);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** From now on these commands are answered so, until `calm`. */
  trouble(trouble: Trouble): void {
    this.#trouble = trouble;
  }

  calm(): void {
    this.#trouble = null;
  }

  count(trouble: Trouble): number {
    return this.answered.get(nameTrouble(trouble)) ?? 0;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #keep(socket: Socket): Socket {
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
    return socket;
  }

  #serve(client: Socket, server: Socket): void {
    this.#keep(client);
    client.on('close', () => server.destroy());
    server.on('close', () => client.destroy());
    /** By the number of the request that is being carried out. */
    const troubled = new Map<number, Trouble>();
    onMongoMessages(client, (message) => {
      const trouble = this.#troubleOf(message);
      const id = message.readInt32LE(4);
      if (trouble?.way === 'refused') client.write(encodeMongoReply(id, errorOf(trouble), false));
      else {
        if (trouble !== null) troubled.set(id, trouble);
        server.write(message);
      }
    });
    onMongoMessages(server, (message) => {
      const id = message.readInt32LE(8);
      const trouble = troubled.get(id);
      troubled.delete(id);
      if (trouble === undefined) client.write(message);
      else client.write(encodeMongoReply(id, answerOf(trouble, message), false));
    });
  }

  #troubleOf(message: Buffer): Trouble | null {
    const trouble = this.#trouble;
    if (trouble === null || message.readInt32LE(12) !== OP_MSG) return null;
    const name = readCommandName(message);
    if (ALWAYS.includes(name) || WRITES.includes(name) !== (trouble.commands === 'writes')) return null;
    this.answered.set(nameTrouble(trouble), this.count(trouble) + 1);
    return trouble;
  }
}

function nameTrouble({ name, way, commands }: Trouble): string {
  return `${commands} ${way}: ${name}`;
}

/** Gives the messages of MongoDB's protocol one by one. */
export function onMongoMessages(socket: Socket, take: (message: Buffer) => void): void {
  let gathered = Buffer.alloc(0);
  socket.on('data', (bytes: Buffer) => {
    gathered = Buffer.concat([gathered, bytes]);
    while (gathered.length >= HEADER_BYTES && gathered.length >= gathered.readInt32LE(0)) {
      const length = gathered.readInt32LE(0);
      take(gathered.subarray(0, length));
      gathered = gathered.subarray(length);
    }
  });
}

/** The name of the command: of the first field of the document, after its length and the field's type. */
export function readCommandName(message: Buffer): string {
  const start = COMMAND_AT + 5;
  return message.toString('utf8', start, message.indexOf(0, start));
}

function errorOf({ name }: Trouble): mongo.Document {
  return { ok: 0, code: STATE_CHANGE_CODES[name], codeName: name, errmsg: `the primary changes: ${name}` };
}

function answerOf(trouble: Trouble, reply: Buffer): mongo.Document {
  if (trouble.way === 'interrupted') return errorOf(trouble);
  const { code, codeName, errmsg } = errorOf(trouble);
  const answer = mongo.BSON.deserialize(reply.subarray(COMMAND_AT), { promoteValues: false });
  return {
    ...answer,
    writeConcernError: { code: code as number, codeName: codeName as string, errmsg: errmsg as string },
  };
}
