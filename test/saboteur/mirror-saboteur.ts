import mongoose from 'mongoose';
import type { Random } from '../types/random.ts';
import { damageOneBit, damageTime, type Fields } from './bson-damage.ts';

const { Int32, Long, ObjectId, Timestamp } = mongoose.mongo;
type Collection = mongoose.mongo.Collection;
/** A document with the driver's own types of numbers. */
export type Document = { _id: unknown } & Fields;

/** Ways to damage the mirror. */
export const MIRROR_DAMAGES = [
  'lost row',
  'extra row',
  'one bit',
  'one microsecond',
  'lost update',
  'false delete',
  'forged future version',
  'no version',
  'malformed version',
  'malformed older version',
  'unknown field',
  'lost field',
  'malformed field',
  'lost column',
  'unknown column',
  'key that is no key',
] as const;
/** `older document`: one that was there before, as `remember` has seen it. */
export type MirrorDamage = (typeof MIRROR_DAMAGES)[number] | 'older document';

export interface DamagedDocument {
  readonly collection: string;
  readonly kind: MirrorDamage;
  readonly id: unknown;
  /** Of the document that was damaged. */
  readonly version: string;
  /** As it is now that it is damaged; null when it is gone. */
  readonly damaged: Document | null;
}

interface Remembered {
  readonly collection: string;
  readonly document: Document;
}

const VERSION_OFFSET = [16, 28] as const;
const FOREIGN_MARK = 'saboteur';
/** Int32, Long and Double stay apart. Of reads alone: the driver's own replies are read with the options of a call. */
const EXACT = { promoteValues: false, promoteLongs: false, promoteBuffers: false } as const;
/** Longer than any server is frozen by a test. */
const TIMEOUTS = { serverSelectionTimeoutMS: 30_000, connectTimeoutMS: 30_000, socketTimeoutMS: 60_000 };

/** Damages documents of a mirror on purpose, with a driver connection of its own. */
export class MirrorSaboteur {
  readonly #client: mongoose.mongo.MongoClient;
  readonly #database: string;
  readonly #random: Random;
  readonly #remembered: Remembered[] = [];

  constructor(url: string, database: string, random: Random) {
    this.#client = new mongoose.mongo.MongoClient(url, { ...TIMEOUTS, writeConcern: { w: 'majority' } });
    this.#database = database;
    this.#random = random;
  }

  async open(): Promise<void> {
    await this.#client.connect();
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  /** Random documents of rows. */
  sample(collection: string, size: number): Promise<Document[]> {
    return this.#collection(collection)
      .aggregate<Document>([{ $match: { row: { $exists: true } } }, { $sample: { size } }], EXACT)
      .toArray();
  }

  /** Keeps so many documents of the collection as they are now, for `older document`. */
  async remember(collection: string, size: number): Promise<void> {
    for (const document of await this.sample(collection, size)) this.#remembered.push({ collection, document });
  }

  /** Damages this document, or a random one; null when it is not fit for this kind, or changed at that moment. */
  async damage(collection: string, kind: MirrorDamage, document?: Document): Promise<DamagedDocument | null> {
    const documents = this.#collection(collection);
    const found = document ?? (await this.sample(collection, 1))[0];
    if (found === undefined) return null;
    const damaged = this.#damage(kind, found);
    if (damaged === null) return null;
    const version = String(found['v']);
    return (await this.#store(documents, found, damaged)) ? { collection, kind, version, ...damaged } : null;
  }

  /** Puts a remembered document back whose row has changed, or ended, since; each once. Null when none has. */
  async restoreOlder(
    mayDamage: (collection: string, id: unknown) => boolean = () => true,
  ): Promise<DamagedDocument | null> {
    while (this.#remembered.length > 0) {
      const at = this.#random.between(0, this.#remembered.length - 1);
      const [{ collection, document }] = this.#remembered.splice(at, 1) as [Remembered];
      const documents = this.#collection(collection);
      const { _id: id } = document;
      if (!mayDamage(collection, id)) continue;
      const found = (await documents.findOne(withId(id), EXACT)) as Document | null;
      const version = found?.['v'];
      // of another length: it was damaged
      if (found === null || typeof version !== 'string' || version.length !== String(document['v']).length) continue;
      if (version <= String(document['v'])) continue;
      const damaged = { id: found._id, damaged: document };
      if (await this.#store(documents, found, damaged))
        return { collection, kind: 'older document', version, ...damaged };
    }
    return null;
  }

  /** Whether the document is still as the damage left it. */
  async isLeft({ collection, id, damaged }: DamagedDocument): Promise<boolean> {
    const now = await this.#collection(collection).findOne(withId(id), EXACT);
    return now === null || damaged === null ? now === damaged : bytesOf(now).equals(bytesOf(damaged));
  }

  #collection(name: string): Collection {
    return this.#client.db(this.#database).collection(name);
  }

  #damage(kind: MirrorDamage, found: Document): Pick<DamagedDocument, 'id' | 'damaged'> | null {
    const { _id: id } = found;
    const document = mongoose.mongo.BSON.deserialize(bytesOf(found), EXACT) as Document;
    const row = document['row'] as Fields;
    const version = String(document['v']);
    const random = this.#random;
    switch (kind) {
      case 'lost row':
        return { id, damaged: null };
      case 'extra row': {
        const other = otherKey(id, random);
        if (other === null) return null;
        document._id = other.id;
        Object.assign(row, other.fields ?? findKeyColumn(row, id, other.id));
        return { id: other.id, damaged: document };
      }
      case 'one bit':
        return damageOneBit(row, random) ? { id, damaged: document } : null;
      case 'one microsecond':
        return damageTime(row, random) ? { id, damaged: document } : null;
      case 'lost update':
        document['v'] = lower(version);
        return document['v'] !== version && damageOneBit(row, random) ? { id, damaged: document } : null;
      case 'false delete':
        return { id, damaged: { _id: id, v: version, gtid: document['gtid'], deletedAt: new Date() } };
      case 'forged future version':
        document['v'] = random.pick([
          `7fffffff${version.slice(8)}`,
          `${version.slice(0, 8)}7fffffff${version.slice(16)}`,
        ]);
        if (random.pick([true, false])) damageOneBit(row, random);
        return { id, damaged: document };
      case 'no version':
        delete document['v'];
        return { id, damaged: document };
      case 'malformed version':
        document['v'] = random.pick<unknown>([version.slice(1), new Int32(7), null]);
        return { id, damaged: document };
      case 'malformed older version':
        // below what comes, so that the next change of the row is written
        document['v'] = random.pick([`${version.slice(0, 43)}g`, '']);
        return { id, damaged: document };
      case 'unknown field':
        document['note'] = random.pick<unknown>(['checked by hand', new Timestamp({ t: 1, i: 1 }), null]);
        return { id, damaged: document };
      case 'lost field':
        return { id, damaged: without(document, random.pick(['row', 'ts', 'gtid'])) as Document };
      case 'malformed field':
        Object.assign(
          document,
          random.pick<Fields>([
            { ts: '2026-02-03T04:05:06Z' },
            { gtid: 'no gtid' },
            { gtid: new Int32(7) },
            { deletedAt: new Date() },
            { row: 'a text' },
          ]),
        );
        return { id, damaged: document };
      case 'lost column': {
        const lost = random.pick(Object.keys(row));
        document['row'] = without(row, lost);
        return { id, damaged: document };
      }
      case 'unknown column':
        row['no_such_column'] = new Int32(1);
        return { id, damaged: document };
      case 'key that is no key':
        document._id = new ObjectId();
        return { id: document._id, damaged: document };
      case 'older document':
        return null; // see restoreOlder
    }
  }

  /** Only if nobody has changed the document since it was read. */
  async #store(
    documents: Collection,
    found: Document,
    { id, damaged }: Pick<DamagedDocument, 'id' | 'damaged'>,
  ): Promise<boolean> {
    const unchanged = { ...withId(found._id), v: { $eq: found['v'] } };
    if (damaged === null) return (await documents.deleteOne(unchanged)).deletedCount === 1;
    if (id !== found._id) return (await documents.insertOne(damaged as Fields)).acknowledged;
    return (await documents.replaceOne(unchanged, damaged)).modifiedCount === 1;
  }
}

function without(fields: Fields, lost: string): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => name !== lost));
}

function withId(id: unknown): mongoose.mongo.Filter<Fields> {
  return { _id: { $eq: id } } as mongoose.mongo.Filter<Fields>;
}

function bytesOf(document: Document): Buffer {
  return Buffer.from(mongoose.mongo.BSON.serialize(document, { ignoreUndefined: false }));
}

/** The same lineage and file, an earlier place. */
function lower(version: string): string {
  const [start, end] = VERSION_OFFSET;
  const offset = Number.parseInt(version.slice(start, end), 16);
  return (
    version.slice(0, start) +
    Math.floor(offset / 2)
      .toString(16)
      .padStart(end - start, '0') +
    version.slice(end)
  );
}

interface OtherKey {
  readonly id: unknown;
  /** Of a key of several columns: the columns' values. */
  readonly fields: Fields | null;
}

/** A key of the same form that no row has; null where this saboteur does not know one. */
function otherKey(id: unknown, random: Random): OtherKey | null {
  if (id instanceof Int32) return { id: new Int32(random.between(1_900_000_000, 2_000_000_000)), fields: null };
  if (id instanceof Long) return { id: Long.fromNumber(random.between(1_900_000_000, 4_000_000_000)), fields: null };
  if (typeof id === 'string') return { id: `${FOREIGN_MARK} ${random.between(0, 2_000_000_000)}`, fields: null };
  if (typeof id !== 'object' || id === null || Object.getPrototypeOf(id) !== Object.prototype) return null;
  const [first] = Object.keys(id);
  if (first === undefined) return null;
  const other = otherKey((id as Fields)[first], random);
  if (other === null) return null;
  const fields = { ...(id as Fields), [first]: other.id };
  return { id: fields, fields };
}

/** The column of the row that has the key's value. */
function findKeyColumn(row: Fields, id: unknown, other: unknown): Fields {
  const same = (value: unknown): boolean => bytesOf({ _id: value }).equals(bytesOf({ _id: id }));
  const name = Object.keys(row).find((column) => same(row[column]));
  return name === undefined ? {} : { [name]: other };
}
