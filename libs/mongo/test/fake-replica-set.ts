import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { mongo } from 'mongoose';
import { encodeMongoReply } from '#testing';

type Documents = Map<string, mongo.Document>;
export type State = Map<string, Documents>;

export interface ReceivedCommand {
  readonly member: number;
  readonly isPrimary: boolean;
  /** As it came; sections of documents are arrays. */
  readonly command: mongo.Document;
}

/** What a member does with a command: `run` carries it out as a healthy one would. `null` closes the connection. */
export type Handler = (
  received: ReceivedCommand,
  run: () => mongo.Document,
) => mongo.Document | null | Promise<mongo.Document | null>;

const HELLO = ['hello', 'ismaster', 'isMaster'];
const OP_QUERY = 2004;

/**
 * Two members of a MongoDB replica set, on the wire, as far as the mirror uses them: the primary applies a write before
 * a majority has it, and a failover takes back what no majority had. No cursors, no authentication.
 */
export class FakeReplicaSet {
  readonly commands: ReceivedCommand[] = [];
  primary = 0;
  /** Whether the other member confirms writes; if not they end with a write concern error (64). */
  confirms = true;
  /** What the primary has applied. */
  applied: State = new Map();
  /** What a majority has. */
  confirmed: State = new Map();
  handle: Handler = (_received, run) => run();
  readonly #members: Server[] = [];
  readonly #sockets = new Set<Socket>();

  static async open(): Promise<FakeReplicaSet> {
    const set = new FakeReplicaSet();
    for (const member of [0, 1]) {
      const server = createServer((socket) => set.#serve(member, socket));
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      set.#members.push(server);
    }
    return set;
  }

  get url(): string {
    return `mongodb://${this.#hosts().join(',')}/?replicaSet=rs`;
  }

  /** The other member becomes primary, with what a majority has. */
  failOver(): void {
    this.primary = 1 - this.primary;
    this.applied = structuredClone(this.confirmed);
    this.confirms = true;
  }

  /** Documents that a majority has, by `_id`. */
  list(collection: string): mongo.Document[] {
    return [...(this.confirmed.get(collection)?.values() ?? [])];
  }

  async close(): Promise<void> {
    for (const server of this.#members) server.close();
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(this.#members.map((server) => once(server, 'close')));
  }

  #hosts(): string[] {
    return this.#members.map((server) => `127.0.0.1:${(server.address() as AddressInfo).port}`);
  }

  #serve(member: number, socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
    let gathered = Buffer.alloc(0);
    socket.on('data', (bytes: Buffer) => {
      gathered = Buffer.concat([gathered, bytes]);
      while (gathered.length >= 4 && gathered.length >= gathered.readInt32LE(0)) {
        const length = gathered.readInt32LE(0);
        void this.#answer(member, socket, gathered.subarray(0, length));
        gathered = gathered.subarray(length);
      }
    });
  }

  async #answer(member: number, socket: Socket, message: Buffer): Promise<void> {
    const isQuery = message.readInt32LE(12) === OP_QUERY;
    const command = isQuery ? readQuery(message) : readMessage(message);
    const [name = ''] = Object.keys(command);
    if (HELLO.includes(name))
      return void socket.write(encodeMongoReply(message.readInt32LE(4), this.#hello(member), isQuery));
    const received = { member, isPrimary: member === this.primary, command };
    this.commands.push(received);
    const answer = await this.handle(received, () => this.#run(received, name));
    if (answer === null) socket.destroy();
    else socket.write(encodeMongoReply(message.readInt32LE(4), answer, isQuery));
  }

  #hello(member: number): mongo.Document {
    const hosts = this.#hosts();
    const isPrimary = member === this.primary;
    return {
      ok: 1,
      helloOk: true,
      ismaster: isPrimary,
      isWritablePrimary: isPrimary,
      secondary: !isPrimary,
      setName: 'rs',
      setVersion: 1,
      hosts,
      me: hosts[member],
      maxBsonObjectSize: 16_777_216,
      maxMessageSizeBytes: 48_000_000,
      maxWriteBatchSize: 100_000,
      minWireVersion: 0,
      maxWireVersion: 21,
      localTime: new Date(),
    };
  }

  #run({ isPrimary, command }: ReceivedCommand, name: string): mongo.Document {
    const collection = String(command[name]);
    if (['ping', 'endSessions', 'create', 'createIndexes'].includes(name)) return { ok: 1 };
    if (!isPrimary) return { ok: 0, code: name === 'find' ? 13435 : 10107, errmsg: 'not primary' };
    if (name === 'find') return this.#find(collection, command);
    if (name === 'listIndexes')
      return batch(
        collection,
        ['versions', 'tombstoneVersions', 'tombstones'].map((index) => ({ name: index })),
      );
    if (name === 'listCollections')
      return batch(
        '$cmd',
        [...this.applied.keys()].map((key) => ({ name: key })),
      );
    return this.#write(collection, name, command);
  }

  #find(collection: string, { filter, limit, sort = {}, readConcern }: mongo.Document): mongo.Document {
    const { level } = (readConcern ?? {}) as { readonly level?: string };
    const documents = [...((level === 'majority' ? this.confirmed : this.applied).get(collection)?.values() ?? [])];
    const found = documents.filter((document) => matches(document, filter as mongo.Document));
    const [[field, direction] = ['_id', 1]] = Object.entries(sort as Record<string, number>);
    found.sort((a, b) => (a[field] < b[field] ? -direction : a[field] > b[field] ? direction : 0));
    return batch(collection, found.slice(0, limit === undefined ? found.length : Number(limit)));
  }

  #write(collection: string, name: string, command: mongo.Document): mongo.Document {
    const documents: Documents = this.applied.get(collection) ?? new Map<string, mongo.Document>();
    this.applied.set(collection, documents);
    const statements = (command['documents'] ?? command['updates'] ?? command['deletes']) as mongo.Document[];
    const reply = { ok: 1, n: 0, nModified: 0, writeErrors: [] as mongo.Document[] };
    for (const [index, statement] of statements.entries()) {
      const changed = WRITES[name]?.(documents, statement) ?? null;
      if (changed === null) reply.writeErrors.push({ index, code: 11000, keyPattern: { _id: 1 }, errmsg: 'duplicate' });
      else reply.n = reply.nModified += changed;
    }
    const { w } = (command['writeConcern'] ?? {}) as { readonly w?: unknown };
    if (w === 'majority' && this.confirms) this.confirmed = structuredClone(this.applied);
    return {
      ...reply,
      ...(reply.writeErrors.length === 0 && { writeErrors: undefined }),
      ...(w === 'majority' &&
        !this.confirms && { writeConcernError: { code: 64, errmsg: 'waiting for replication timed out' } }),
    };
  }
}

/** How many documents changed; null for a duplicate. */
const WRITES: Readonly<Record<string, (documents: Documents, statement: mongo.Document) => number | null>> = {
  insert,
  update,
  delete: (documents, { q }) => {
    const found = [...documents].filter(([, document]) => matches(document, q as mongo.Document));
    for (const [key] of found) documents.delete(key);
    return found.length;
  },
};

function insert(documents: Documents, document: mongo.Document): number | null {
  if (documents.has(keyOf(document['_id']))) return null;
  documents.set(keyOf(document['_id']), document);
  return 1;
}

function update(documents: Documents, { q, u, upsert, multi }: mongo.Document): number | null {
  const found = candidates(documents, q as mongo.Document)
    .filter((document) => matches(document, q as mongo.Document))
    .slice(0, multi === true ? Infinity : 1);
  for (const document of found) documents.set(keyOf(document['_id']), apply(document, u as mongo.Document));
  if (found.length > 0 || upsert !== true) return found.length;
  return insert(documents, apply({ _id: (q as mongo.Document)['_id'] as unknown }, u as mongo.Document));
}

function candidates(documents: Documents, { _id }: mongo.Document): mongo.Document[] {
  const document = documents.get(keyOf(_id));
  return document === undefined ? [...documents.values()] : [document];
}

/** A replacement, or a pipeline of one stage; `$max` for the lineage. */
function apply(document: mongo.Document, change: mongo.Document): mongo.Document {
  const { $max } = change as { readonly $max?: { readonly lineage: number } };
  if ($max !== undefined) return { ...document, lineage: Math.max(Number(document['lineage'] ?? 0), $max.lineage) };
  if (!Array.isArray(change)) return change;
  const [{ $set, $replaceWith }] = change as [{ readonly $set?: object; readonly $replaceWith?: object }];
  if ($set !== undefined) return { ...document, at: new Date() };
  const literals = Object.entries($replaceWith ?? {}).filter(([name]) => name !== '_id');
  return {
    _id: document['_id'] as unknown,
    ...Object.fromEntries(
      literals.map(([name, { $literal }]: [string, mongo.Document]) => [name, $literal as unknown]),
    ),
  };
}

function matches(document: mongo.Document, filter: mongo.Document): boolean {
  return Object.entries(filter).every(([field, wanted]: [string, unknown]) => {
    const value = document[field] as string | undefined;
    if (typeof wanted !== 'object' || wanted === null || !Object.keys(wanted).some((name) => name.startsWith('$')))
      return keyOf(value) === keyOf(wanted);
    return Object.entries(wanted as Record<string, string | boolean | string[]>).every(([operator, operand]) => {
      if (operator === '$exists') return (value !== undefined) === operand;
      if (Array.isArray(operand)) return operand.some((one) => keyOf(one) === keyOf(value));
      if (value === undefined) return false;
      if (operator === '$lt') return value < operand;
      if (operator === '$lte') return value <= operand;
      if (operator === '$gte') return value >= operand;
      throw new Error(`the fake replica set does not know ${operator}`);
    });
  });
}

function keyOf(id: unknown): string {
  return mongo.BSON.EJSON.stringify({ id });
}

function batch(collection: string, firstBatch: readonly mongo.Document[]): mongo.Document {
  return { ok: 1, cursor: { id: mongo.Long.ZERO, ns: `db.${collection}`, firstBatch } };
}

/** OP_QUERY: flags, name of the collection, two numbers, then the command. Only the first hello comes so. */
function readQuery(message: Buffer): mongo.Document {
  return mongo.BSON.deserialize(message.subarray(message.indexOf(0, 20) + 9));
}

/** OP_MSG: flags, then sections: kind 0 is the command, kind 1 documents of one of its fields. */
function readMessage(message: Buffer): mongo.Document {
  const found: mongo.Document[] = [];
  for (let at = 20; at < message.length;) {
    const kind = message[at];
    const end = at + 1 + message.readInt32LE(at + 1);
    found.push(
      kind === 0 ? mongo.BSON.deserialize(message.subarray(at + 1, end)) : readSection(message.subarray(at + 1, end)),
    );
    at = end;
  }
  return Object.assign({}, ...found) as mongo.Document;
}

function readSection(section: Buffer): mongo.Document {
  const nameEnd = section.indexOf(0, 4);
  const documents: mongo.Document[] = [];
  for (let at = nameEnd + 1; at < section.length; at += section.readInt32LE(at))
    documents.push(mongo.BSON.deserialize(section.subarray(at, at + section.readInt32LE(at))));
  return { [section.toString('utf8', 4, nameEnd)]: documents };
}
