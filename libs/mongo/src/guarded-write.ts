import { type DittoError, findReason } from '#kernel';
import { mongo } from 'mongoose';
import { BsonType, BsonWriter, makeLabel } from './bson-writer.ts';
import { type DocumentSequence, makeDocumentSequence } from './document-sequence.ts';
import { type EncodedDocument } from './mirror-document.ts';
import {
  classifyMongoError,
  classifyWriteError,
  documentRefused,
  isDocumentRefused,
  isDocumentsOwn,
  isDuplicateId,
  isTransient,
  type ServerWriteError,
} from './mongo-errors.ts';
import { runWrite } from './write-command.ts';

/** One document to write unless the mirror holds a newer one under its `_id`. */
export interface GuardedWrite {
  readonly document: EncodedDocument;
  /**
   * The document is believed not to be in the mirror: it is tried with an insert first, five times cheaper on the
   * server than an upsert. A wrong belief costs time, never the right result.
   */
  readonly isNew: boolean;
}

export interface GuardedResult {
  /** Indexes of the writes that a newer document refused, ascending. */
  readonly rejected: readonly number[];
  /** Writes with `isNew` whose document was there after all. */
  readonly notNew: number;
  /** Documents that MongoDB will never take; the others are written. */
  readonly refused: readonly RefusedDocument[];
}

export interface RefusedDocument {
  /** Of its write. */
  readonly index: number;
  readonly error: DittoError;
}

export interface GuardedWriteOptions {
  readonly writeConcern: mongo.WriteConcernSettings;
  /** Documents in one command at most. Default 1,000. */
  readonly maxCommandWrites?: number;
}

/** MongoDB's limit for one document, https://www.mongodb.com/docs/manual/reference/limits/. */
const MAX_DOCUMENT_BYTES = 16 * 1024 * 1024;
/** A server takes messages of 48 million bytes; this leaves room for one more document of the greatest size. */
const MAX_COMMAND_BYTES = 12 * 1024 * 1024;
/** FerretDB takes 25,000; from 1,000 on a call is not faster. */
export const MAX_COMMAND_WRITES = 1000;
const MAX_TRANSIENT_ATTEMPTS = 5;
const LENGTH_BYTES = 4;
/** About what an update statement has in addition to the document and its key. */
const UPDATE_BYTES = 128;

interface Failure {
  readonly index: number;
  readonly error: ServerWriteError;
}

/**
 * Writes documents of one collection, each guarded by its version; resolves when all are confirmed with the write
 * concern. At most one write per `_id`, sorted by `_id` (unsorted batches of several processes deadlock in FerretDB).
 *
 * The guard is the same on MongoDB and FerretDB: an upsert with the filter `{_id, v: {$lte: version}}`. When a newer
 * document is there nothing matches, the upsert becomes an insert, and that fails with a duplicate key. It may also fail
 * because another process inserted an *older* document at the same moment; so an operation counts as rejected only when
 * it finds a duplicate for the second time, when the document was there before it began. An equal version is written
 * over with the same content and is not a rejection.
 *
 * Rejects with a retriable error when the whole may be given again (lost connection, deadlock, write concern not
 * reached), or with another one when MongoDB will take none of them.
 */
export async function writeGuarded(
  db: mongo.Db,
  collection: string,
  writes: readonly GuardedWrite[],
  options: GuardedWriteOptions,
): Promise<GuardedResult> {
  const write = new GuardedBatch(db, collection, writes, options);
  const inserts: number[] = [];
  const upserts: number[] = [];
  for (let index = 0; index < writes.length; index++)
    ((writes[index] as GuardedWrite).isNew ? inserts : upserts).push(index);
  const [notNew, contested] = await bothSettled(write.insert(inserts), write.upsert(upserts));
  const again = [...notNew, ...contested].sort((a, b) => a - b);
  return { rejected: await write.upsert(again), notNew: notNew.length, refused: write.refused };
}

class GuardedBatch {
  readonly refused: RefusedDocument[] = [];
  readonly #db: mongo.Db;
  readonly #collection: string;
  readonly #writes: readonly GuardedWrite[];
  readonly #options: GuardedWriteOptions;

  constructor(db: mongo.Db, collection: string, writes: readonly GuardedWrite[], options: GuardedWriteOptions) {
    this.#db = db;
    this.#collection = collection;
    this.#writes = writes;
    this.#options = options;
  }

  /** Indexes whose document was there. */
  insert(indexes: readonly number[]): Promise<number[]> {
    return this.#send(indexes, (documents) => ({
      insert: this.#collection,
      documents: makeDocumentSequence(
        'documents',
        documents.map(({ bytes }) => bytes),
      ),
    }));
  }

  /** Indexes that found a duplicate. */
  upsert(indexes: readonly number[]): Promise<number[]> {
    return this.#send(indexes, (documents) => ({
      update: this.#collection,
      updates: writeUpdates(documents),
    }));
  }

  async #send(
    indexes: readonly number[],
    command: (documents: readonly EncodedDocument[]) => mongo.Document,
  ): Promise<number[]> {
    const duplicates: number[] = [];
    for (const part of this.#cut(indexes)) {
      let pending = part;
      for (let attempt = 1; pending.length > 0; attempt++) {
        const failures = await this.#run(pending, command);
        pending = [];
        for (const { index, error } of failures) {
          if (isDuplicateId(error)) duplicates.push(index);
          else if (isTransient(error.code) && attempt < MAX_TRANSIENT_ATTEMPTS) pending.push(index);
          else this.#refuse(index, classifyWriteError(this.#collection, this.#readId(index), error));
        }
      }
    }
    return duplicates;
  }

  async #run(
    indexes: readonly number[],
    command: (documents: readonly EncodedDocument[]) => mongo.Document,
  ): Promise<Failure[]> {
    const documents = indexes.map((index) => this.#document(index));
    const { writeConcern } = this.#options;
    try {
      const { writeErrors = [] } = await runWrite(this.#db, { ...command(documents), ordered: false, writeConcern });
      return writeErrors.map((error) => ({ index: indexes[error.index] as number, error }));
    } catch (error) {
      if (!isDocumentsOwn(error)) throw classifyMongoError(error);
      const [index] = indexes as [number];
      if (indexes.length === 1) {
        await this.#assertTaken(error);
        this.#refuse(index, documentRefused(this.#collection, this.#readId(index), findReason(error), error));
        return [];
      }
      // the answer does not say which document it is about
      const middle = Math.ceil(indexes.length / 2);
      const first = await this.#run(indexes.slice(0, middle), command);
      return [...first, ...(await this.#run(indexes.slice(middle), command))];
    }
  }

  /**
   * The same code may be about the command, such as its write concern. One that changes nothing then fails too: rejects
   * with the error if it does.
   */
  async #assertTaken(error: unknown): Promise<void> {
    const updates = makeDocumentSequence('updates', [CHANGES_NOTHING]);
    const { writeConcern } = this.#options;
    try {
      await runWrite(this.#db, { update: this.#collection, updates, ordered: false, writeConcern });
    } catch (problem) {
      throw classifyMongoError(isDocumentsOwn(problem) ? error : problem);
    }
  }

  #refuse(index: number, error: DittoError): void {
    if (!isDocumentRefused(error)) throw error;
    this.refused.push({ index, error });
  }

  /** For those who read an error. */
  #readId(index: number): unknown {
    return readId(this.#document(index));
  }

  #document(index: number): EncodedDocument {
    return (this.#writes[index] as GuardedWrite).document;
  }

  /** Parts that fit one command each, in order. */
  #cut(indexes: readonly number[]): number[][] {
    const { maxCommandWrites = MAX_COMMAND_WRITES } = this.#options;
    const parts: number[][] = [];
    let part: number[] = [];
    let partBytes = 0;
    for (const index of indexes) {
      const bytes = this.#document(index).bytes.length;
      if (bytes > MAX_DOCUMENT_BYTES) {
        const reason = `the document has ${bytes} bytes, MongoDB takes ${MAX_DOCUMENT_BYTES}`;
        this.#refuse(index, documentRefused(this.#collection, this.#readId(index), reason));
        continue;
      }
      if (part.length > 0 && (part.length >= maxCommandWrites || partBytes + bytes > MAX_COMMAND_BYTES)) {
        parts.push(part);
        part = [];
        partBytes = 0;
      }
      part.push(index);
      partBytes += bytes;
    }
    if (part.length > 0) parts.push(part);
    return parts;
  }
}

/** No document has one of no ids. */
const CHANGES_NOTHING = mongo.BSON.serialize({ q: { _id: { $in: [] } }, u: {} });

const QUERY = makeLabel(BsonType.document, 'q');
const VERSION = makeLabel(BsonType.document, 'v');
const AT_MOST = makeLabel(BsonType.string, '$lte');
const UPDATE = makeLabel(BsonType.document, 'u');
const UPSERT = makeLabel(BsonType.boolean, 'upsert');

/** `{q: {_id, v: {$lte: version}}, u: document, upsert: true}` for each document. */
function writeUpdates(documents: readonly EncodedDocument[]): DocumentSequence {
  const writer = new BsonWriter(documents.reduce((sum, { bytes }) => sum + bytes.length + UPDATE_BYTES, 0));
  for (const { bytes, idEnd, version } of documents) {
    const statement = writer.begin();
    const query = writer.beginIn(QUERY);
    writer.raw(bytes.subarray(LENGTH_BYTES, idEnd));
    const guard = writer.beginIn(VERSION);
    writer.string(AT_MOST, version);
    writer.end(guard);
    writer.end(query);
    writer.raw(UPDATE);
    writer.raw(bytes);
    writer.boolean(UPSERT, true);
    writer.end(statement);
  }
  return makeDocumentSequence('updates', [writer.bytes.subarray(0, writer.at)]);
}

function readId({ bytes, idEnd }: EncodedDocument): unknown {
  const writer = new BsonWriter(idEnd + 1);
  const start = writer.begin();
  writer.raw(bytes.subarray(LENGTH_BYTES, idEnd));
  writer.end(start);
  return mongo.BSON.deserialize(writer.bytes.subarray(0, writer.at))['_id'];
}

/** Waits for both, so that nothing is under way any more when it rejects. */
async function bothSettled<A, B>(first: Promise<A>, second: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([first, second]);
  return [await first, await second];
}
