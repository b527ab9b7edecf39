import { type DittoError } from '#kernel';
import { mongo } from 'mongoose';
import { BsonWriter } from './bson-writer.ts';
import { type GuardedWrite } from './guarded-write.ts';
import { collapseEntries, type CollapsedEntry, encodeWrite, type MirrorEntry } from './mirror-batch.ts';
import { type MirrorCollection } from './mirror-tables.ts';
import { classifyMongoError, documentRefused } from './mongo-errors.ts';

/** A change whose document MongoDB will never take. */
export interface RefusedEntry {
  readonly entry: MirrorEntry;
  readonly error: DittoError;
}

/** The documents of one collection in one batch. */
export interface EncodedPart {
  readonly collection: MirrorCollection;
  readonly collapsed: readonly CollapsedEntry[];
  readonly writes: readonly GuardedWrite[];
}

export interface EncodedBatch {
  readonly parts: readonly EncodedPart[];
  /** What can't be written as BSON; in no part. */
  readonly refused: readonly RefusedEntry[];
  /** What is held until the parts are written. */
  readonly bytes: number;
}

/** The driver joins the documents of a command into one buffer, and that with the rest of the message into another. */
const COPIES_SENT = 2;
/** What a command holds in addition to its documents: mostly the promises of those who wait for its answer. */
const COMMAND_BYTES = 8 * 1024;

/** A value that BSON has no place for, and text that is no JSON. Anything else is no row's fault, and stops the writer. */
function isValueError(error: unknown): boolean {
  return mongo.BSON.BSONError.isBSONError(error) || error instanceof SyntaxError;
}

/**
 * All documents of a batch are in one buffer: a batch may have a row of each of a thousand tables. Throws a coded error for
 * what is no value's own fault.
 */
export function encodeBatch(entries: readonly MirrorEntry[], nowMs: number): EncodedBatch {
  const writer = new BsonWriter(entries.reduce((sum, { bytes }) => sum + bytes, 0));
  const refused: RefusedEntry[] = [];
  const parts = [...collapseEntries(entries)].map(([collection, collapsed]) => {
    const insertFirst = collection.inserts.next();
    const writes: GuardedWrite[] = [];
    const written = collapsed.filter((one) => {
      const start = writer.at;
      try {
        writes.push(encodeWrite(writer, one, insertFirst, nowMs));
        return true;
      } catch (error) {
        if (!isValueError(error)) throw classifyMongoError(error);
        const { entry } = one;
        writer.at = start;
        const reason = `can't be written as BSON: ${String(error)}`;
        refused.push({ entry, error: documentRefused(collection.name, entry.identity, reason, error) });
        return false;
      }
    });
    return { collection, collapsed: written, writes };
  });
  const bytes = writer.bytes.length + COPIES_SENT * writer.at + COMMAND_BYTES * parts.length;
  return { parts, refused, bytes };
}
