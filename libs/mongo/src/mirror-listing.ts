import { type mongo } from 'mongoose';
import { idDocument, storedIdValue } from './id-values.ts';
import { FROM_MAJORITY, IndexPages, nextPage } from './index-pages.ts';
import { ABOVE_ALL_VERSIONS, LIVE_VERSIONS, readByIndex, versionFloor, versionNumber } from './mirror-indexes.ts';
import { findNewestVersion } from './newest-version.ts';

/** Some documents that have a row, of each only its `_id`. */
export interface ListedIds {
  /** Documents whose first field is `_id`. */
  readonly documents: readonly Buffer[];
  /** Where the listing continues; also in another process. */
  readonly after: string;
}

/** Less than a connection may be silent. */
const ODD_PAGE_TIMEOUT_MS = 15_000;
const BY_VERSION = 'v';
const BY_ID = 'i';

/** Arrays are found by what they contain: the server has no place of their own for them in an index. */
const NO_VERSIONS = [
  'number',
  'object',
  'binData',
  'undefined',
  'objectId',
  'bool',
  'date',
  'null',
  'regex',
  'dbPointer',
  'javascript',
  'symbol',
  'javascriptWithScope',
  'timestamp',
  'minKey',
  'maxKey',
];

/**
 * Documents whose `v` is not in the range that pages by version go through. One condition for each type: each is a range of
 * the index to MongoDB, where "not a string" would be all of it.
 */
const ODD: mongo.Document = {
  ...LIVE_VERSIONS.covers,
  $or: [
    { v: { $lt: LIVE_VERSIONS.toKey(0n) } },
    { v: { $gte: LIVE_VERSIONS.toKey(ABOVE_ALL_VERSIONS) } },
    { v: { $exists: false } },
    { v: { $eq: [] } },
    ...NO_VERSIONS.map((type) => ({ v: { $type: type } })),
  ],
};

/**
 * All documents of a collection that have a row: first by the index on `v`, up to the newest version that there was at
 * the beginning, so that it ends while changes come; then, by `_id`, those whose `v` is none. The place in either is a
 * text: no cursor is open between two pages. Rejects with coded errors.
 */
export async function* listIds(
  documents: mongo.Collection,
  after: string | null,
  limit: number,
): AsyncGenerator<ListedIds> {
  if (after?.startsWith(BY_ID) !== true) yield* listByVersion(documents, after, limit);
  yield* listOdd(documents, after?.startsWith(BY_ID) === true ? after.slice(BY_ID.length) : '', limit);
}

async function* listByVersion(
  documents: mongo.Collection,
  after: string | null,
  limit: number,
): AsyncGenerator<ListedIds> {
  const [from, below] = after === null ? [0n, await findEnd(documents)] : parsePlace(after);
  const pages = new IndexPages({ documents, index: LIVE_VERSIONS, from, below, limit });
  for (let page = await nextPage(pages); page !== null; page = await nextPage(pages))
    yield { documents: page.map(({ bytes }) => toBuffer(bytes)), after: formatPlace(pages.position, below) };
}

/** By `_id` of whatever type: the comparison of an expression goes through all types in one order. */
async function* listOdd(documents: mongo.Collection, after: string, limit: number): AsyncGenerator<ListedIds> {
  for (let place = after; ;) {
    const last = place === '' ? {} : { $expr: { $gt: ['$_id', { $literal: storedIdValue(fromText(place)) }] } };
    const found = await readByIndex(documents, () =>
      documents
        .find(
          { ...ODD, ...last },
          {
            projection: { _id: 1 },
            sort: { _id: 1 },
            hint: LIVE_VERSIONS.name,
            limit,
            batchSize: limit,
            maxTimeMS: ODD_PAGE_TIMEOUT_MS,
            raw: true,
            ...FROM_MAJORITY,
          },
        )
        .toArray(),
    );
    const page = found as unknown as Buffer[];
    const end = page.at(-1);
    if (end === undefined) return;
    place = toText(idDocument(end));
    yield { documents: page, after: BY_ID + place };
    if (page.length < limit) return;
  }
}

async function findEnd(documents: mongo.Collection): Promise<bigint> {
  const newest = await findNewestVersion(documents, LIVE_VERSIONS, ABOVE_ALL_VERSIONS);
  return newest === '' ? 0n : versionFloor(newest) + 1n;
}

function formatPlace(from: bigint, below: bigint): string {
  return `${BY_VERSION}${String(LIVE_VERSIONS.toKey(from))}:${String(LIVE_VERSIONS.toKey(below))}`;
}

function parsePlace(text: string): readonly [bigint, bigint] {
  const parts = /^v([0-9a-f]{44}|g):([0-9a-f]{44}|g)$/.exec(text);
  if (parts === null) throw new RangeError(`"${text}" is no place in a listing of the mirror`);
  const numberOf = (key: string | undefined): bigint => (key === 'g' ? ABOVE_ALL_VERSIONS : versionNumber(key ?? ''));
  return [numberOf(parts[1]), numberOf(parts[2])];
}

export function toText(document: Uint8Array): string {
  return toBuffer(document).toString('base64url');
}

export function fromText(text: string): Buffer {
  return Buffer.from(text, 'base64url');
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
