import { sleep } from '#kernel';
import { type Arrivals, clockMs, parseClock } from './arrivals.ts';
import { withMongo } from './mongo-ceiling.ts';

/** Rest between two looks, so that the looking leaves the server some time. */
const REST_MS = 2;

interface Document {
  readonly _id: number;
  readonly row: { readonly placed_at: string };
}

/**
 * Looks for new documents again and again: a delay is too long by up to the time between two looks. Returns those
 * times, from the start of one look to the end of the next, in milliseconds.
 */
export async function watchMongo(
  url: string,
  database: string,
  collection: string,
  arrivals: Arrivals,
  signal: AbortSignal,
): Promise<readonly number[]> {
  const looksMs: number[] = [];
  await withMongo(url, async (client) => {
    const documents = client.db(database).collection<Document>(collection);
    let begunMs = clockMs();
    while (!arrivals.complete && !signal.aborted) {
      const found = await documents
        .find({ _id: { $gte: arrivals.lowestMissing } }, { projection: { 'row.placed_at': 1 }, batchSize: 10_000 })
        .toArray();
      const arrivedMs = clockMs();
      for (const { _id, row } of found) arrivals.arrive(_id, parseClock(row.placed_at), arrivedMs);
      looksMs.push(arrivedMs - begunMs);
      begunMs = arrivedMs;
      await sleep(REST_MS, signal).catch(() => undefined);
    }
  });
  return looksMs;
}
