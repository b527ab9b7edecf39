import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { mongo } from 'mongoose';
import { LIVE_VERSIONS, versionNumber } from './mirror-indexes.ts';
import { findNewestVersion } from './newest-version.ts';

/** Can't sort in time; gives any document of a range. */
function collectionOf(versions: readonly string[], calls: { count: number }): mongo.Collection {
  const findOne = (
    { v: { $gte, $lt } }: { v: { $gte: string; $lt: string } },
    { sort }: { sort?: object },
  ): Promise<{ v: string } | null> => {
    calls.count++;
    if (sort !== undefined) return Promise.reject(new mongo.MongoServerError({ message: 'too slow', code: 50 }));
    const found = versions.find((v) => v >= $gte && v < $lt);
    return Promise.resolve(found === undefined ? null : { v: found });
  };
  return { findOne } as never;
}

const version = fc.bigInt(0n, (1n << 176n) - 1n).map((number) => number.toString(16).padStart(44, '0'));

describe('findNewestVersion', () => {
  it('is found in few steps on a server that can not sort the range in time', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(version, { maxLength: 20 }), version, async (versions, below) => {
        const calls = { count: 0 };
        const newest = await findNewestVersion(collectionOf(versions, calls), LIVE_VERSIONS, versionNumber(below));
        expect(newest).toBe(
          versions
            .filter((v) => v < below)
            .toSorted()
            .at(-1) ?? '',
        );
        expect(calls.count).toBeLessThan(200);
      }),
    );
  });
});
