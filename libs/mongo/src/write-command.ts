import { mongo } from 'mongoose';
import { BsonWriter } from './bson-writer.ts';
import { makeDocumentSequence } from './document-sequence.ts';
import { classifyMongoError, classifyWriteError, isDuplicateId, type ServerWriteError } from './mongo-errors.ts';

/** How long the server may wait for the members that must confirm before it reports that they did not. */
export const WRITE_CONCERN_TIMEOUT_MS = 10_000;
/** What a majority of the members must confirm. */
export const BY_MAJORITY: mongo.WriteConcernSettings = { w: 'majority', wtimeout: WRITE_CONCERN_TIMEOUT_MS };

/** What a server says of a write. */
export interface WriteReply {
  readonly n?: number;
  readonly nModified?: number;
  readonly writeErrors?: readonly ServerWriteError[];
  readonly writeConcernError?: { readonly code?: number; readonly errmsg?: string };
}

/** Rejects with what the driver throws, and when the write concern was not reached. */
export async function runWrite(db: mongo.Db, command: mongo.Document): Promise<WriteReply> {
  const reply: WriteReply = await db.command(command);
  const { writeConcernError } = reply;
  if (writeConcernError === undefined) return reply;
  throw new mongo.MongoServerError({ ...writeConcernError, message: writeConcernError.errmsg });
}

/** One statement of a command `update` or `delete`, as bytes. Rejects with a coded error. */
export async function runStatement(
  db: mongo.Db,
  command: { readonly update: string } | { readonly delete: string },
  writeStatement: (writer: BsonWriter) => void,
  writeConcern: mongo.WriteConcernSettings,
): Promise<WriteReply> {
  const writer = new BsonWriter();
  const start = writer.begin();
  writeStatement(writer);
  writer.end(start);
  const field = 'update' in command ? 'updates' : 'deletes';
  const statements = makeDocumentSequence(field, [writer.bytes.subarray(0, writer.at)]);
  let reply: WriteReply;
  try {
    reply = await runWrite(db, { ...command, [field]: statements, writeConcern });
  } catch (error) {
    throw classifyMongoError(error);
  }
  const [failed] = reply.writeErrors ?? [];
  if (failed !== undefined) throw classifyWriteError(String(Object.values(command)[0]), null, failed);
  return reply;
}

/** Ditto's own collection in a mirror database; tables' collections have a dot in their names. */
export const OWN_COLLECTION = '_ditto';
const BARRIER = {
  update: OWN_COLLECTION,
  updates: [{ q: { _id: 'barrier' }, u: [{ $set: { at: '$$NOW' } }], upsert: true }],
};

/**
 * When it resolves, a majority has confirmed all that the primary had applied before, so that reads with read concern
 * majority see it: also a write whose sender died before the answer, and one that asked for fewer members. Rejects with
 * a coded error.
 */
export async function awaitMajority(db: mongo.Db): Promise<void> {
  try {
    let failed = await raiseBarrier(db);
    // two processes made the document at the same moment
    if (failed !== null && isDuplicateId(failed)) failed = await raiseBarrier(db);
    if (failed !== null) throw classifyWriteError(OWN_COLLECTION, 'barrier', failed);
  } catch (error) {
    throw classifyMongoError(error);
  }
}

async function raiseBarrier(db: mongo.Db): Promise<ServerWriteError | null> {
  const { writeErrors: [failed] = [] } = await runWrite(db, { ...BARRIER, writeConcern: BY_MAJORITY });
  return failed ?? null;
}
