import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { formatVersion, READ_ROW_INDEX } from '#change-events';
import { Deferred } from '#kernel';
import { areReadsUsedUp, ReadSequences } from './read-sequences.ts';

/** What outlives a process. */
interface Kept {
  lineage: number;
  reserved: number;
}

/** As an owner begins: the store of the state database starts a lineage's numbers again. */
function start(kept: Kept, fails: () => boolean): ReadSequences {
  if (areReadsUsedUp(kept.reserved)) {
    kept.lineage++;
    kept.reserved = 0;
  }
  const { lineage } = kept;
  const write = (upTo: number): void => {
    if (kept.lineage === lineage) kept.reserved = Math.max(kept.reserved, upTo);
  };
  return new ReadSequences({
    reserved: kept.reserved,
    reserve: (upTo) => {
      if (!fails()) {
        write(upTo);
        return Promise.resolve();
      }
      // it may have been applied all the same
      if (fails()) write(upTo);
      return Promise.reject(new Error('no answer'));
    },
  });
}

function versionOf({ lineage }: Kept, readSequence: number): string {
  return formatVersion({ lineage, fileNumber: 1, offset: 4, rowIndex: READ_ROW_INDEX, readSequence });
}

describe('ReadSequences', () => {
  it('I2, I3: versions of reads at one place of the log grow, whatever owners, crashes and lost answers come between', async () => {
    const steps = fc.array(fc.constantFrom('read', 'discard', 'ahead', 'crash'), { maxLength: 60 });
    const failures = fc.array(fc.boolean(), { maxLength: 20 });
    const beginnings = fc.constantFrom(0, 7, 0x8000_0000 - 3, 0xffff_fffe);
    await fc.assert(
      fc.asyncProperty(steps, failures, beginnings, async (plan, failing, reserved) => {
        const kept = { lineage: 1, reserved };
        const fails = (): boolean => failing.pop() ?? false;
        let numbers = start(kept, fails);
        const seen: string[] = [];
        for (const step of plan)
          try {
            if (step === 'crash') numbers = start(kept, fails);
            else if (step === 'discard') numbers.next();
            else if (step === 'ahead') {
              await numbers.secureAhead();
              seen.push(versionOf(kept, numbers.nextSecured()));
            } else {
              const number = numbers.next();
              await numbers.secure(number);
              seen.push(versionOf(kept, number));
            }
          } catch (error) {
            expect((error as Error).message).toMatch(/no answer|no number left/);
            numbers = start(kept, fails);
          }
        expect(seen).toEqual([...new Set(seen)].sort());
      }),
      { numRuns: 500 },
    );
  });

  it('an owner that reads nothing uses none, and one that reads a little uses little: a source can be restarted for ever', async () => {
    const kept = { lineage: 1, reserved: 0 };
    for (let owner = 0; owner < 5000; owner++) start(kept, () => false).next();
    expect(kept).toEqual({ lineage: 1, reserved: 0 });
    let seen = '';
    for (let owner = 0; owner < 5000; owner++) {
      const numbers = start(kept, () => false);
      const number = numbers.next();
      await numbers.secure(number);
      const version = versionOf(kept, number);
      expect(version > seen).toBe(true);
      seen = version;
      // as many as a large table takes
      if (owner % 100 === 0) kept.reserved += 100_000_000;
    }
    expect(kept.lineage).toBeGreaterThan(2);
  });

  it('I2: a number is not secured before the store has answered, nor by an answer that failed', async () => {
    const answers: Deferred<undefined>[] = [];
    const reserve = (): Promise<void> => {
      const answer = new Deferred<undefined>();
      answers.push(answer);
      return answer.promise;
    };
    const numbers = new ReadSequences({ reserved: 0, reserve });
    const settled: string[] = [];
    const secure = (name: string): Promise<void> =>
      numbers.secure(1).then(
        () => void settled.push(name),
        () => void settled.push(`${name} failed`),
      );
    const both = [secure('first'), secure('second')];
    await new Promise((resolve) => setImmediate(resolve));
    expect([settled, answers.length]).toEqual([[], 1]);
    answers[0]?.reject(new Error('no answer'));
    await Promise.all(both);
    expect(settled).toEqual(['first failed', 'second failed']);
    const again = secure('third');
    await new Promise((resolve) => setImmediate(resolve));
    expect([settled.length, answers.length]).toEqual([2, 2]);
    answers[1]?.resolve(undefined);
    await again;
    expect(settled.at(-1)).toBe('third');
  });

  it('asks the store once for many reads, also when they come at the same time', async () => {
    const asked: number[] = [];
    const reserve = (upTo: number): Promise<void> => Promise.resolve(void asked.push(upTo));
    const numbers = new ReadSequences({ reserved: 0, reserve });
    await Promise.all(Array.from({ length: 500 }, () => numbers.secure(numbers.next())));
    expect(asked.length).toBeLessThanOrEqual(2);
    expect(() => new ReadSequences({ reserved: 3, reserve }).nextSecured()).toThrow(/was not secured/);
  });
});
