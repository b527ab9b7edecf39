import { type TableLayout } from '#change-events';
import { type mongo } from 'mongoose';
import { type KeyRange } from '#verification';
import { readElements } from './bson-reader.ts';
import { BsonType } from './bson-writer.ts';
import { idDocument, type IdType, keyIdValue, storedIdValue, typeOfIds } from './id-values.ts';
import { FROM_MAJORITY, PAGE_TIMEOUT_MS } from './index-pages.ts';
import { classifyMongoError } from './mongo-errors.ts';

/** Some documents that are no tombstones, of each only its `_id`. */
export interface ListedIds {
  /** Documents whose first field is `_id`. */
  readonly documents: readonly Buffer[];
  /** Where the listing continues; also in another process. */
  readonly after: string;
}

/** Less than a connection may be silent. */
const OTHERS_TIMEOUT_MS = 15_000;
const OF_KEYS = 'k';
const OF_OTHERS = 'o';
const ID_TYPES: Readonly<Record<IdType, readonly number[]>> = {
  object: [BsonType.document],
  string: [BsonType.string],
  binData: [BsonType.binary],
  bool: [BsonType.boolean],
  number: [BsonType.int32, BsonType.long, BsonType.double, BsonType.decimal128],
};
const NO_TOMBSTONE = { $or: [{ row: { $exists: true } }, { deletedAt: { $exists: false } }] };

/**
 * All documents of a collection that are no tombstones, in the order of `_id`: first those whose `_id` has the type of the
 * table's keys, up to the last one that there was at the beginning, so that it ends while rows come; then all others. The
 * place in either is a text: no cursor is open between two pages. Rejects with coded errors.
 */
export async function* listIds(
  documents: mongo.Collection,
  layout: TableLayout,
  after: string | null,
  limit: number,
): AsyncGenerator<ListedIds> {
  const type = typeOfIds(layout);
  if (after?.startsWith(OF_OTHERS) !== true) yield* listKeys(documents, { type, after, limit });
  yield* listIdsOfOthers(documents, layout, after, limit);
}

/** The last ones of `listIds`: those whose `_id` is in no range of keys, whichever its bounds. */
export function listIdsOfOthers(
  documents: mongo.Collection,
  layout: TableLayout,
  after: string | null,
  limit: number,
): AsyncGenerator<ListedIds> {
  const last = after?.startsWith(OF_OTHERS) === true ? after.slice(OF_OTHERS.length) : '';
  return listOthers(documents, typeOfIds(layout), last, limit);
}

/** The documents of `listIds` in a range of keys. */
export function listIdsOfRange(
  documents: mongo.Collection,
  layout: TableLayout,
  range: KeyRange,
  after: string | null,
  limit: number,
): AsyncGenerator<ListedIds> {
  const bounds = {
    ...(range.after && { $gt: keyIdValue(layout, range.after) }),
    ...(range.upTo && { $lte: keyIdValue(layout, range.upTo) }),
  };
  return listKeys(documents, { type: typeOfIds(layout), after, limit, bounds });
}

/** The documents of `listIds` whose `_id` has the type of keys, and that fulfil `filter`. */
export function listSelectedIds(
  documents: mongo.Collection,
  layout: TableLayout,
  after: string | null,
  limit: number,
  filter: mongo.Document,
): AsyncGenerator<ListedIds> {
  return listKeys(documents, { type: typeOfIds(layout), after, limit, filter });
}

interface KeyListing {
  readonly type: IdType;
  readonly after: string | null;
  readonly limit: number;
  /** Of `_id`. */
  readonly bounds?: { readonly $gt?: unknown; readonly $lte?: unknown };
  /** More that a document must fulfil. */
  readonly filter?: mongo.Document;
}

async function* listKeys(
  documents: mongo.Collection,
  { type, after, limit, bounds = {}, filter = {} }: KeyListing,
): AsyncGenerator<ListedIds> {
  const [place, end] = after === null ? ['', await findLast(documents, { $type: type, ...bounds })] : parsePlace(after);
  if (end === '') return;
  const upTo = { $lte: storedIdValue(fromText(end)) };
  for (let last = place; ;) {
    // a comparison meets values of its own type only
    const from = last === '' ? { $type: type, ...bounds } : { $gt: storedIdValue(fromText(last)) };
    const id = { ...from, ...upTo };
    const page = await find(documents, { _id: id, ...NO_TOMBSTONE, ...filter }, limit, PAGE_TIMEOUT_MS);
    const document = page.at(-1);
    if (document === undefined) return;
    last = toText(idDocument(document));
    yield { documents: page, after: `${OF_KEYS}${last}:${end}` };
    if (page.length < limit) return;
  }
}

/** By `_id` of whatever type: the comparison of an expression goes through all types in one order. */
async function* listOthers(
  documents: mongo.Collection,
  type: IdType,
  after: string,
  limit: number,
): AsyncGenerator<ListedIds> {
  if (after === '' && !(await mayHaveOthers(documents, type))) return;
  for (let last = after; ;) {
    const from = last === '' ? {} : { $expr: { $gt: ['$_id', { $literal: storedIdValue(fromText(last)) }] } };
    // no comparison meets NaN, which is a number
    const others = { $not: type === 'number' ? { $gte: -Infinity } : { $type: type } };
    const filter = { _id: others, ...NO_TOMBSTONE, ...from };
    const page = await find(documents, filter, limit, OTHERS_TIMEOUT_MS);
    const document = page.at(-1);
    if (document === undefined) return;
    last = toText(idDocument(document));
    yield { documents: page, after: OF_OTHERS + last };
    if (page.length < limit) return;
  }
}

/**
 * The server reads the whole collection to find these documents. Types have an order, and no other one is between two
 * values of one type: so there are none when the first and the last `_id` of all are of that type. Only symbols are among
 * strings.
 */
async function mayHaveOthers(documents: mongo.Collection, type: IdType): Promise<boolean> {
  if (type === 'string') return true;
  const ends = [await find(documents, {}, 1, PAGE_TIMEOUT_MS), await find(documents, {}, 1, PAGE_TIMEOUT_MS, -1)];
  return ends.flat().some((document) => !isOfType(document, type));
}

function isOfType(document: Buffer, type: IdType): boolean {
  const id = readElements(document).next().value;
  if (id === undefined || !ID_TYPES[type].includes(id.type)) return false;
  if (id.type === BsonType.double) return !Number.isNaN(document.readDoubleLE(id.start));
  return id.type !== BsonType.decimal128 || !isNotANumber(document, id.start);
}

/** A decimal whose combination field is all ones (IEEE 754-2008, decimal128). */
function isNotANumber(document: Buffer, start: number): boolean {
  return ((document[start + 15] as number) & 0x7c) === 0x7c;
}

/** '' when there is none. */
async function findLast(documents: mongo.Collection, id: mongo.Document): Promise<string> {
  const [last] = await find(documents, { _id: id }, 1, PAGE_TIMEOUT_MS, -1);
  return last === undefined ? '' : toText(idDocument(last));
}

async function find(
  documents: mongo.Collection,
  filter: mongo.Document,
  limit: number,
  maxTimeMS: number,
  order: 1 | -1 = 1,
): Promise<readonly Buffer[]> {
  const options = { projection: { _id: 1 }, sort: { _id: order }, limit, batchSize: limit, raw: true } as const;
  try {
    const found = await documents.find(filter, { ...options, maxTimeMS, ...FROM_MAJORITY }).toArray();
    return found as unknown as Buffer[];
  } catch (error) {
    throw classifyMongoError(error);
  }
}

function parsePlace(text: string): readonly [string, string] {
  const parts = /^k([\w-]+):([\w-]+)$/.exec(text);
  if (parts === null) throw new RangeError(`"${text}" is not a place in a listing of the mirror`);
  return [parts[1] ?? '', parts[2] ?? ''];
}

export function toText(document: Uint8Array): string {
  return Buffer.from(document.buffer, document.byteOffset, document.byteLength).toString('base64url');
}

export function fromText(text: string): Buffer {
  return Buffer.from(text, 'base64url');
}
