import { describe, expect, it } from '@jest/globals';
import { mongo } from 'mongoose';
import { IndexPages, type IndexPagesOptions } from './index-pages.ts';
import { ABOVE_ALL_VERSIONS, LIVE_VERSIONS, versionNumber } from './mirror-indexes.ts';

interface Stored {
  readonly _id: unknown;
  readonly v: string;
}

const versionAt = (offset: number, sequence = 0): string =>
  `0000000100000001${offset.toString(16).padStart(12, '0')}ffffffff${sequence.toString(16).padStart(8, '0')}`;

interface VersionRange {
  readonly v: { readonly $gte: string; readonly $lt: string };
}

/**
 * A collection that takes its time for what it looks at: a range beyond `capacity` documents, or a page beyond
 * `pageCapacity`, ends with a time-out.
 */
class SlowCollection {
  documents: Stored[];
  calls = 0;
  timeouts = 0;
  capacity = Infinity;
  pageCapacity = Infinity;

  constructor(documents: readonly Stored[]) {
    this.documents = [...documents];
  }

  get asCollection(): mongo.Collection {
    return {
      find: (filter: VersionRange, options: { limit: number }) => ({ toArray: () => this.#find(filter, options) }),
    } as never;
  }

  async #find({ v: { $gte, $lt } }: VersionRange, { limit }: { limit: number }): Promise<Uint8Array[]> {
    this.calls++;
    const found = this.documents.filter(({ v }) => v >= $gte && v < $lt).sort((a, b) => (a.v < b.v ? -1 : 1));
    const page = found.slice(0, limit);
    if (found.length > this.capacity || page.length > this.pageCapacity) {
      this.timeouts++;
      throw new mongo.MongoServerError({ message: 'operation exceeded time limit', code: 50 });
    }
    return Promise.resolve(page.map((document) => mongo.BSON.serialize(document)));
  }
}

function pagesOf(collection: SlowCollection, options: Partial<IndexPagesOptions> = {}): IndexPages {
  const range = { index: LIVE_VERSIONS, from: 0n, below: ABOVE_ALL_VERSIONS, limit: 10 };
  return new IndexPages({ documents: collection.asCollection, ...range, ...options });
}

/** Calls again after each time-out, as callers do. */
async function collect(pages: IndexPages, onPage: (ids: unknown[]) => void = () => undefined): Promise<unknown[]> {
  const all: unknown[] = [];
  for (;;)
    try {
      const page = await pages.next();
      if (page === null) return all;
      const ids = page.map(({ bytes }) => mongo.BSON.deserialize(bytes)['_id'] as unknown);
      all.push(...ids);
      onPage(ids);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.includes('time limit')) throw error;
    }
}

const spread = (count: number, step: number): Stored[] =>
  Array.from({ length: count }, (_, id) => ({ _id: id, v: versionAt(id * step) }));

describe('IndexPages', () => {
  it('gives each document once, in the order of the index', async () => {
    const collection = new SlowCollection(spread(95, 1000));
    expect(await collect(pagesOf(collection))).toEqual(Array.from({ length: 95 }, (_, id) => id));
    expect(collection.calls).toBeLessThan(13);
  });

  it('gives what lies between two versions', async () => {
    const between = { from: versionNumber(versionAt(3000)) + 1n, below: versionNumber(versionAt(6000)) };
    expect(await collect(pagesOf(new SlowCollection(spread(10, 1000)), between))).toEqual([4, 5]);
  });

  it('gives many documents of one version, of all types of _id, each once', async () => {
    const same = Array.from({ length: 57 }, (_, id) => ({ _id: id % 2 === 0 ? id : `k${id}`, v: versionAt(7, 1) }));
    const collection = new SlowCollection([
      { _id: 'first', v: versionAt(3) },
      ...same,
      { _id: 'last', v: versionAt(8) },
    ]);
    const all = await collect(pagesOf(collection));
    expect([all.length, new Set(all).size, all.at(-1)]).toEqual([59, 59, 'last']);
  });

  it('does not grow while documents of one version leave it', async () => {
    const collection = new SlowCollection(Array.from({ length: 200 }, (_, id) => ({ _id: id, v: versionAt(7) })));
    const sizes: number[] = [];
    await collect(pagesOf(collection), (ids) => {
      sizes.push(ids.length);
      collection.documents = collection.documents.filter(({ _id }) => !ids.includes(_id));
    });
    expect([Math.max(...sizes), collection.documents]).toEqual([10, []]);
  });

  it('comes to its end on a server that takes too long for pages, and grows them again', async () => {
    const collection = new SlowCollection(spread(300, 1000));
    collection.pageCapacity = 7;
    const pages = pagesOf(collection, { limit: 100 });
    const all = await collect(pages, () => (collection.pageCapacity = Infinity));
    expect(all).toEqual(Array.from({ length: 300 }, (_, id) => id));
    expect([collection.timeouts, collection.calls < 600]).toEqual([2, true]);
  });

  it('ends on a server that sorts the range, wherever the documents are', async () => {
    const far = Array.from({ length: 500 }, (_, id) => ({ _id: `f${id}`, v: `f${versionAt(id * 77).slice(1)}` }));
    const collection = new SlowCollection([...spread(5000, 1234), ...far]);
    collection.capacity = 400;
    const all = await collect(pagesOf(collection, { limit: 200 }));
    expect([all.length, new Set(all).size]).toEqual([5500, 5500]);
    expect(collection.timeouts).toBeLessThan(30);
  });

  it('gives a page again that was not dealt with, without what has left', async () => {
    const collection = new SlowCollection(spread(12, 1));
    const pages = pagesOf(collection, { limit: 5 });
    await pages.next();
    await pages.next();
    collection.documents = collection.documents.filter(({ _id }) => _id !== 5);
    pages.again(new Error('connection closed'));
    const again = (await pages.next()) ?? [];
    expect(again.map(({ version }) => version)).toEqual([6, 7, 8, 9].map((offset) => versionAt(offset)));
  });

  it('leaves out what is passed by', async () => {
    const pages = pagesOf(new SlowCollection(spread(30, 1)));
    await pages.next();
    pages.passBy(versionNumber(versionAt(24)));
    expect(await collect(pages)).toEqual([25, 26, 27, 28, 29]);
  });
});
