import { type TableLayout } from '#change-events';
import { type mongo } from 'mongoose';
import { BSON_ENCODING } from './bson-values.ts';
import { BsonType } from './bson-writer.ts';
import { idDocument, storedIdValue } from './id-values.ts';
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
  if (after?.startsWith(OF_OTHERS) !== true) yield* listKeys(documents, type, after, limit, {});
  yield* listOthers(documents, type, after?.startsWith(OF_OTHERS) === true ? after.slice(OF_OTHERS.length) : '', limit);
}

/** The documents of `listIds` whose `_id` has the type of keys, and that fulfil `filter`. */
export function listSelectedIds(
  documents: mongo.Collection,
  layout: TableLayout,
  after: string | null,
  limit: number,
  filter: mongo.Document,
): AsyncGenerator<ListedIds> {
  return listKeys(documents, typeOfIds(layout), after, limit, filter);
}

async function* listKeys(
  documents: mongo.Collection,
  type: string,
  after: string | null,
  limit: number,
  filter: mongo.Document,
): AsyncGenerator<ListedIds> {
  const [place, end] = after === null ? ['', await findLast(documents, type)] : parsePlace(after);
  if (end === '') return;
  const upTo = { $lte: storedIdValue(fromText(end)) };
  for (let last = place; ;) {
    // a comparison meets values of its own type only
    const from = last === '' ? { $type: type } : { $gt: storedIdValue(fromText(last)) };
    const page = await find(
      documents,
      { _id: { ...from, ...upTo }, ...NO_TOMBSTONE, ...filter },
      limit,
      PAGE_TIMEOUT_MS,
    );
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
  type: string,
  after: string,
  limit: number,
): AsyncGenerator<ListedIds> {
  for (let last = after; ;) {
    const from = last === '' ? {} : { $expr: { $gt: ['$_id', { $literal: storedIdValue(fromText(last)) }] } };
    const filter = { _id: { $not: { $type: type } }, ...NO_TOMBSTONE, ...from };
    const page = await find(documents, filter, limit, OTHERS_TIMEOUT_MS);
    const document = page.at(-1);
    if (document === undefined) return;
    last = toText(idDocument(document));
    yield { documents: page, after: OF_OTHERS + last };
    if (page.length < limit) return;
  }
}

/** '' when there is none. */
async function findLast(documents: mongo.Collection, type: string): Promise<string> {
  const [last] = await find(documents, { _id: { $type: type } }, 1, PAGE_TIMEOUT_MS, -1);
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

/** As `$type` names it; numbers of all types have one order. */
function typeOfIds({ key, columns }: TableLayout): string {
  const [first, ...others] = key.map((index) => columns[index]);
  if (first === undefined || others.length > 0) return 'object';
  const [, type] = BSON_ENCODING[first.kind].writing(first);
  switch (type) {
    case BsonType.string:
      return 'string';
    case BsonType.binary:
      return 'binData';
    case BsonType.boolean:
      return 'bool';
    default:
      return 'number';
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
