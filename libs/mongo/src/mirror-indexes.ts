import { DittoError } from '#kernel';
import { type mongo } from 'mongoose';
import { classifyMongoError, isIndexMissing, isNamespaceExists } from './mongo-errors.ts';

/**
 * An index of a mirrored collection that pages follow. Each covers live documents or tombstones, never both: a page of
 * live documents is not held up by a hundred million tombstones.
 */
export interface MirrorIndex {
  readonly name: string;
  readonly field: 'v' | 'deletedAt';
  readonly covers: mongo.Document;
  /** Keys as numbers, so that a range of them can be divided. */
  readonly toNumber: (key: never) => bigint;
  readonly toKey: (number: bigint) => unknown;
}

const LIVE = { row: { $exists: true } };
const DELETED = { deletedAt: { $exists: true } };
const VERSION_DIGITS = 44;

/** The first digits of a version mean the lowest version that begins with them; '' is below all. */
export function versionNumber(version: string): bigint {
  return version === '' ? 0n : BigInt(`0x${version.padEnd(VERSION_DIGITS, '0')}`);
}

/**
 * The highest version that is not above a text, whatever somebody has stored as `v`: pages of an index continue at the
 * texts that they come upon.
 */
export function versionFloor(text: string): bigint {
  const digits = /^[0-9a-f]{0,44}/.exec(text)?.[0] ?? '';
  const rest = VERSION_DIGITS - digits.length;
  if (rest === 0) return BigInt(`0x${digits}`);
  const lowest = versionNumber(digits);
  const next = text.charAt(digits.length);
  if (next > 'f') return lowest + (1n << BigInt(4 * rest)) - 1n;
  // between the digits and the letters
  if (next > '9') return lowest + (10n << BigInt(4 * (rest - 1))) - 1n;
  return lowest === 0n ? 0n : lowest - 1n;
}

/** Above every version. */
export const ABOVE_ALL_VERSIONS = 1n << BigInt(4 * VERSION_DIGITS);

const byVersion = {
  field: 'v',
  toNumber: versionFloor,
  toKey: (number: bigint) => (number < ABOVE_ALL_VERSIONS ? number.toString(16).padStart(VERSION_DIGITS, '0') : 'g'),
} as const;

export const LIVE_VERSIONS: MirrorIndex = { name: 'versions', covers: LIVE, ...byVersion };
export const TOMBSTONE_VERSIONS: MirrorIndex = { name: 'tombstoneVersions', covers: DELETED, ...byVersion };
export const TOMBSTONE_AGES: MirrorIndex = {
  name: 'tombstones',
  field: 'deletedAt',
  covers: DELETED,
  toNumber: (date: Date) => BigInt(date.getTime()),
  toKey: (number) => new Date(Number(number)),
};
const INDEXES = [LIVE_VERSIONS, TOMBSTONE_VERSIONS, TOMBSTONE_AGES];

/** Creates what is missing, and waits until it is built. Repeatable. Rejects with a coded error. */
export async function createMirrorIndexes(db: mongo.Db, collection: string): Promise<void> {
  const indexes = INDEXES.map(({ name, field, covers }) => ({
    name,
    key: { [field]: 1 },
    partialFilterExpression: covers,
  }));
  try {
    await db.command({ createIndexes: collection, indexes });
  } catch (error) {
    throw classifyMongoError(error);
  }
}

/**
 * Creates the collection with its indexes. False when the collection was there and lacks an index: a server may take
 * hours to build it. Repeatable. Rejects with a coded error.
 */
export async function prepareCollection(db: mongo.Db, collection: string): Promise<boolean> {
  try {
    if (await createCollection(db, collection)) await createMirrorIndexes(db, collection);
    const present = await db.collection(collection).indexes();
    return INDEXES.every(({ name }) => present.some((index) => index.name === name));
  } catch (error) {
    throw classifyMongoError(error);
  }
}

/**
 * A read that names one of the indexes. If the collection lacks it, it is built first: a mirror of an older Ditto.
 * Rejects with a coded error.
 */
export async function readByIndex<T>(documents: mongo.Collection, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!isIndexMissing(error)) throw classifyMongoError(error);
  }
  await createMirrorIndexes(documents.db, documents.collectionName);
  try {
    return await read();
  } catch (error) {
    if (!isIndexMissing(error)) throw classifyMongoError(error);
    throw new DittoError('DITTO_MONGO_UNAVAILABLE', `an index of ${documents.collectionName} is still being built`, {
      retriable: true,
      cause: error,
    });
  }
}

async function createCollection(db: mongo.Db, collection: string): Promise<boolean> {
  try {
    await db.createCollection(collection);
    return true;
  } catch (error) {
    if (!isNamespaceExists(error)) throw error;
    return false;
  }
}
