import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { mongo } from 'mongoose';
import { LIVE_VERSIONS, versionNumber } from './mirror-indexes.ts';
import { findNewestVersion } from './newest-version.ts';

/** Gives any document of a range; one that is too slow to sort fails when it is to give the first of an order. */
function collectionOf(versions: readonly string[], calls: { count: number }, isSlow = true): mongo.Collection {
  const findOne = (
    { v: { $gte, $lt } }: { v: { $gte: string; $lt: string } },
    { sort, ...how }: { sort?: { v: number }; readConcern: unknown; readPreference: unknown },
  ): Promise<{ v: string } | null> => {
    calls.count++;
    expect(how).toMatchObject({ readConcern: { level: 'majority' }, readPreference: 'primary' });
    if (sort !== undefined && isSlow)
      return Promise.reject(new mongo.MongoServerError({ message: 'too slow', code: 50 }));
    if (sort !== undefined) {
      const inRange = versions.filter((v) => v >= $gte && v < $lt).toSorted();
      const first = inRange.at(sort.v === -1 ? -1 : 0);
      return Promise.resolve(first === undefined ? null : { v: first });
    }
    const found = versions.find((v) => v >= $gte && v < $lt);
    return Promise.resolve(found === undefined ? null : { v: found });
  };
  return { findOne } as never;
}

const version = fc.bigInt(0n, (1n << 176n) - 1n).map((number) => number.toString(16).padStart(44, '0'));

describe('findNewestVersion', () => {
  it('is found at once, and in few steps on a server that can not sort the range in time', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(version, { maxLength: 20 }), version, fc.boolean(), async (versions, below, isSlow) => {
        const calls = { count: 0 };
        const newest = await findNewestVersion(
          collectionOf(versions, calls, isSlow),
          LIVE_VERSIONS,
          versionNumber(below),
        );
        expect(newest).toBe(
          versions
            .filter((v) => v < below)
            .toSorted()
            .at(-1) ?? '',
        );
        expect(calls.count).toBeLessThan(isSlow ? 200 : 2);
      }),
    );
  });

  it.each(['0g', `${'0'.repeat(43)}G`, '0a:', 'ab'])('is found beside a text that is no version: %s', async (text) => {
    const versions = ['0'.repeat(43) + '1', text];
    const calls = { count: 0 };
    expect(await findNewestVersion(collectionOf(versions, calls), LIVE_VERSIONS, 1n << 175n)).toBe(
      versions
        .filter((v) => v < '8')
        .toSorted()
        .at(-1),
    );
  });
});
