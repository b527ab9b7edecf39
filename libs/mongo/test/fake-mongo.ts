import { mongo } from 'mongoose';
import { type MirrorDocument, type MongoConnection } from '../src/index.ts';
import { readSequence } from './read-bson.ts';

interface UpdateStatement {
  readonly q: { readonly v: { readonly $lte: string } };
  readonly u: MirrorDocument;
}

/**
 * The part of a MongoDB server that guarded writes rest on, with the freedom that the manual gives it: operations of an
 * unordered write run in any order, an upsert looks and inserts in two steps that others may come between, and the
 * connection may break before, within or after a command.
 */
export class FakeMongo {
  readonly collections = new Map<string, Map<string, MirrorDocument>>();
  readonly commands: mongo.Document[] = [];
  /** Share of commands that lose their connection. */
  failureRate = 0;
  readonly #random: () => number;

  constructor(seed = 1) {
    this.#random = mulberry32(seed);
  }

  get connection(): MongoConnection {
    const db = { command: (command: mongo.Document) => this.command(command) };
    return { db: () => db, ping: () => Promise.resolve() } as unknown as MongoConnection;
  }

  find(collection: string, id: unknown): MirrorDocument | undefined {
    return this.#collectionOf(collection).get(keyOf(id));
  }

  async command(command: mongo.Document): Promise<mongo.Document> {
    this.commands.push(command);
    const operations = this.#shuffle(this.#operationsOf(command));
    const breaksAt = this.#random() < this.failureRate ? Math.floor(this.#random() * (operations.length + 1)) : -1;
    const writeErrors: { index: number; code: number }[] = [];
    for (const [done, { index, run }] of operations.entries()) {
      if (done === breaksAt) throw new mongo.MongoNetworkError('connection closed');
      if (!(await run())) writeErrors.push({ index, code: 11000 });
    }
    if (breaksAt === operations.length) throw new mongo.MongoNetworkError('connection closed');
    return writeErrors.length === 0 ? { ok: 1 } : { ok: 1, writeErrors };
  }

  #operationsOf(command: mongo.Document): { index: number; run: () => Promise<boolean> }[] {
    if ('documents' in command) {
      const documents = this.#collectionOf(command['insert'] as string);
      return readSequence<MirrorDocument>(command, 'documents').map((document, index) => ({
        index,
        run: () => this.#insert(documents, document),
      }));
    }
    const documents = this.#collectionOf(command['update'] as string);
    return readSequence<UpdateStatement>(command, 'updates').map(({ q, u }, index) => ({
      index,
      run: async () => {
        const stored = documents.get(keyOf(u._id));
        if (stored === undefined || stored.v > q.v.$lte) return this.#insert(documents, u);
        documents.set(keyOf(u._id), u);
        return true;
      },
    }));
  }

  async #insert(documents: Map<string, MirrorDocument>, document: MirrorDocument): Promise<boolean> {
    if (this.#random() < 0.5) await new Promise<void>((resolve) => setImmediate(resolve));
    if (documents.has(keyOf(document._id))) return false;
    documents.set(keyOf(document._id), document);
    return true;
  }

  #collectionOf(name: string): Map<string, MirrorDocument> {
    let documents = this.collections.get(name);
    if (documents === undefined) this.collections.set(name, (documents = new Map<string, MirrorDocument>()));
    return documents;
  }

  #shuffle<T>(items: T[]): T[] {
    for (let index = items.length - 1; index > 0; index--) {
      const other = Math.floor(this.#random() * (index + 1));
      [items[index], items[other]] = [items[other] as T, items[index] as T];
    }
    return items;
  }
}

function keyOf(id: unknown): string {
  return mongo.BSON.EJSON.stringify({ id });
}

function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}
