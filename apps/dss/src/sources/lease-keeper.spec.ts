import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DittoError, silentLogger } from '#kernel';
import { type Grant } from '#replication';
import { LeaseKeeper, type LeaseOffice } from './lease-keeper.ts';

const grant: Grant = { source: 's', owner: 'o', token: 1 };
const down = new DittoError('DITTO_DCS_UNAVAILABLE', 'down', { retriable: true });
const never = new AbortController().signal;

function build(office: Partial<LeaseOffice>, ttlMs = 60): LeaseKeeper {
  return new LeaseKeeper({
    office: {
      acquireLease: () => Promise.resolve(grant),
      renewLease: () => Promise.resolve(true),
      releaseLease: () => Promise.resolve(),
      ...office,
    },
    source: 's',
    owner: 'o',
    ttlMs,
    renewMs: 15,
    logger: silentLogger,
    monotonicMs: () => performance.now(),
  });
}

describe('LeaseKeeper', () => {
  it('I5: the lease is lost when its time is over, although a renewal is still waiting for its answer', async () => {
    const keeper = build({ renewLease: () => new Promise(() => undefined) });
    await keeper.acquire(never);
    const beganAt = performance.now();
    await expect(keeper.renewUntil(grant, never)).rejects.toMatchObject({ code: 'DITTO_LEASE_LOST', retriable: true });
    expect(performance.now() - beganAt).toBeLessThan(2000);
  });

  it('I5: the time of a lease runs from when it was asked for, not from when the answer came', async () => {
    const keeper = build({
      acquireLease: async () => {
        await new Promise((resolve) => setTimeout(resolve, 80));
        return grant;
      },
    });
    await keeper.acquire(never);
    await expect(keeper.renewUntil(grant, never)).rejects.toMatchObject({ code: 'DITTO_LEASE_LOST' });
  });

  it('I6: says why no lease can be had for as long as it can not be asked for', async () => {
    const answers: (() => Promise<Grant | null>)[] = [
      () => Promise.reject(down),
      () => Promise.resolve(null),
      () => Promise.resolve(grant),
    ];
    const said: string[] = [];
    const keeper = build({
      acquireLease: () => {
        said.push(keeper.describeWait());
        return answers.shift()?.() ?? Promise.resolve(null);
      },
    });
    await keeper.acquire(never);
    expect(said).toEqual([
      'the lease of the source',
      `the lease of the source (${down.code}: ${down.message})`,
      'the lease of the source',
    ]);
  });

  it('outlives renewals that fail for a while, and is lost at once when another holds it', async () => {
    const answers = [down, down, true, down, false];
    const keeper = build(
      {
        renewLease: () => {
          const answer = answers.shift() ?? true;
          return typeof answer === 'boolean' ? Promise.resolve(answer) : Promise.reject(answer);
        },
      },
      5000,
    );
    await keeper.acquire(never);
    const beganAt = performance.now();
    await expect(keeper.renewUntil(grant, never)).rejects.toThrow('somebody else');
    expect(answers).toEqual([]);
    // five renewals, 15 ms before each
    expect(performance.now() - beganAt).toBeGreaterThan(60);
  });

  it('resolves when it is told to end', async () => {
    const keeper = build({});
    await keeper.acquire(never);
    const done = new AbortController();
    const renewal = keeper.renewUntil(grant, done.signal);
    done.abort();
    await renewal;
  });

  it('I5: whatever requests take and whichever fail, the lease lasts its time from when the last granted one was asked', async () => {
    const ttlMs = 100;
    /** How long an answer takes, by the office's clock and this process's. */
    const takes = fc.constantFrom(0, 1, 10, 40, 60, 99, 100, 150);
    const request = fc.record({ takes, isDown: fc.boolean() });
    const asks = fc.record({
      acquisitions: fc.array(request, { maxLength: 3 }),
      acquiredIn: fc.constantFrom(0, 10, 60),
      renewals: fc.array(request, { maxLength: 12, size: 'max' }),
    });
    await fc.assert(
      fc.asyncProperty(asks, async ({ acquisitions, acquiredIn, renewals }) => {
        let nowMs = 1000;
        let validUntilMs = 0;
        const queue = [
          ...acquisitions.map((one) => ({ ...one, grants: false })),
          { takes: acquiredIn, isDown: false, grants: true },
        ];
        const keeper = new LeaseKeeper({
          office: {
            acquireLease: () => {
              const { takes: tookMs, isDown, grants } = queue.shift() ?? { takes: 0, isDown: false, grants: true };
              if (grants) validUntilMs = nowMs + ttlMs;
              nowMs += tookMs;
              if (isDown) return Promise.reject(down);
              return Promise.resolve(grants ? grant : null);
            },
            renewLease: () => {
              // one that has run out may be another's already
              expect(nowMs).toBeLessThan(validUntilMs);
              expect(keeper.isValid()).toBe(true);
              const next = renewals.shift() ?? { takes: ttlMs, isDown: true };
              const askedAtMs = nowMs;
              nowMs += next.takes;
              if (next.isDown) return Promise.reject(down);
              validUntilMs = askedAtMs + ttlMs;
              return Promise.resolve(true);
            },
            releaseLease: () => Promise.resolve(),
          },
          ...{ source: 's', owner: 'o', ttlMs, renewMs: 0, logger: silentLogger, monotonicMs: () => nowMs },
        });
        await keeper.acquire(never);
        const restMs = validUntilMs - nowMs;
        for (const ms of [restMs - 1, restMs]) {
          nowMs += ms;
          expect(keeper.isValid()).toBe(nowMs < validUntilMs);
          nowMs -= ms;
        }
        await expect(keeper.renewUntil(grant, never)).rejects.toMatchObject({ code: 'DITTO_LEASE_LOST' });
        expect(nowMs).toBeGreaterThanOrEqual(validUntilMs);
        expect(keeper.isValid()).toBe(false);
      }),
      { numRuns: 100 },
    );
  });

  it('I5: the end of a lease is noticed when it comes, however rarely it is renewed', async () => {
    const office = {
      acquireLease: () => Promise.resolve(grant),
      renewLease: () => Promise.reject(down),
      releaseLease: () => Promise.resolve(),
    };
    const timing = { ttlMs: 30, renewMs: 600_000, monotonicMs: () => performance.now() };
    const keeper = new LeaseKeeper({ office, source: 's', owner: 'o', logger: silentLogger, ...timing });
    await keeper.acquire(never);
    await expect(keeper.renewUntil(grant, never)).rejects.toMatchObject({ code: 'DITTO_LEASE_LOST' });
  });
});
