import { type mongo } from 'mongoose';
import { FROM_MAJORITY, PAGE_TIMEOUT_MS } from './index-pages.ts';
import { type MirrorIndex, readByIndex, versionFloor } from './mirror-indexes.ts';
import { isTimeout } from './mongo-errors.ts';

/**
 * The highest version below `below` in the index; '' when there is none. MongoDB goes to it at once. FerretDB sorts the
 * range, which takes too long for many documents: there the range is halved by looks for any document in its upper half.
 * Rejects with a coded error.
 */
export async function findNewestVersion(
  documents: mongo.Collection,
  index: MirrorIndex,
  below: bigint,
): Promise<string> {
  try {
    return (await findVersion(documents, index, { from: 0n, below, sort: { v: -1 } })) ?? '';
  } catch (error) {
    if (!isTimeout(error)) throw error;
  }
  let newest = '';
  let low = 0n;
  let high = below;
  while (low < high) {
    const middle = (low + high) / 2n;
    const found = await findVersion(documents, index, { from: middle, below: high });
    if (found === null) high = middle;
    else {
      newest = found;
      low = versionFloor(found) + 1n;
    }
  }
  return newest;
}

/** The version of a document in the range, any one without `sort`. */
async function findVersion(
  documents: mongo.Collection,
  { name, covers, toKey }: MirrorIndex,
  { from, below, sort }: { readonly from: bigint; readonly below: bigint; readonly sort?: { readonly v: -1 } },
): Promise<string | null> {
  const found = await readByIndex(documents, () =>
    documents.findOne<{ readonly v: string }>(
      { ...covers, v: { $gte: toKey(from), $lt: toKey(below) } },
      { projection: { _id: 0, v: 1 }, ...(sort && { sort }), hint: name, maxTimeMS: PAGE_TIMEOUT_MS, ...FROM_MAJORITY },
    ),
  );
  return found?.v ?? null;
}
