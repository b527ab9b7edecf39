import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type LeaseAnswer, type LeaseRequest } from '#dcs-client';
import { BootClock, DittoError, identifyThisProcess, type ProcessIdentity, silentLogger } from '#kernel';
import { type Grant } from '#replication';
import { LeaseKeeper, type LeaseKeeperOptions, type LeaseOffice, type LeaseTurn } from './lease-keeper.ts';

const grant: Grant = { source: 's', owner: 'o', token: 1 };
const down = new DittoError('DITTO_DCS_UNAVAILABLE', 'down', { retriable: true });
const granted: LeaseAnswer = { grant, holder: null };
const refused: LeaseAnswer = { grant: null, holder: null };
const holder = { source: 's', owner: 'another', token: 7, expiresInMs: 60_000, process: null };
const held: LeaseAnswer = { grant: null, holder };
const never = new AbortController().signal;

function build(office: Partial<LeaseOffice>, ttlMs = 60, options: Partial<LeaseKeeperOptions> = {}): LeaseKeeper {
  return new LeaseKeeper({
    office: {
      acquireLease: () => Promise.resolve(granted),
      renewLease: () => Promise.resolve(true),
      releaseLease: () => Promise.resolve(),
      ...office,
    },
    source: 's',
    owner: 'o',
    process: null,
    ttlMs,
    renewMs: 15,
    logger: silentLogger,
    monotonicMs: () => performance.now(),
    ...options,
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
        return granted;
      },
    });
    await keeper.acquire(never);
    await expect(keeper.renewUntil(grant, never)).rejects.toMatchObject({ code: 'DITTO_LEASE_LOST' });
  });

  it('I5: a lease is over when its time has passed while the machine was suspended, and timers and process stood still', async () => {
    let suspendedMs = 0;
    const uptimeMs = (): number => performance.now() + suspendedMs;
    const clock = new BootClock({ uptimeMs, wallMs: uptimeMs });
    const keeper = build({}, 60_000, { monotonicMs: () => clock.nowMs() });
    await keeper.acquire(never);
    const renewing = keeper.renewUntil(grant, never);
    expect(keeper.isValid()).toBe(true);
    suspendedMs = 61_000;
    expect(keeper.isValid()).toBe(false);
    await expect(renewing).rejects.toMatchObject({ code: 'DITTO_LEASE_LOST' });
  });

  it('asks for no lease that falls to another instance, and soon for one that is handed to it', async () => {
    let turn: LeaseTurn = 'waits';
    let asked = 0;
    const acquireLease = (): Promise<LeaseAnswer> => Promise.resolve(++asked === 3 ? granted : held);
    const keeper = build({ acquireLease }, 60, { turn: () => turn, renewMs: 60_000 });
    const acquired = keeper.acquire(never);
    await new Promise((resolve) => setTimeout(resolve, 250));
    expect(asked).toBe(0);
    turn = 'expects';
    expect(await acquired).toEqual(grant);
    expect(asked).toBe(3);
  });

  it('gives a lease to the instance that it is handed to, for as long as a lease lasts', async () => {
    const released: unknown[] = [];
    const keeper = build({
      releaseLease: (_grant, handOver) => {
        released.push(handOver);
        return Promise.resolve();
      },
    });
    await keeper.release(grant, 'other');
    await keeper.release(grant);
    expect(released).toEqual([{ to: 'other', ttlMs: 60 }, null]);
  });

  it('I6: says why no lease can be obtained for as long as it can not be asked for', async () => {
    const answers: (() => Promise<LeaseAnswer>)[] = [
      () => Promise.reject(down),
      () => Promise.resolve(refused),
      () => Promise.resolve(granted),
    ];
    const said: string[] = [];
    const keeper = build({
      acquireLease: () => {
        said.push(keeper.describeWait());
        return answers.shift()?.() ?? Promise.resolve(refused);
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

  describe('while another holds the lease', () => {
    const self = identifyThisProcess();

    /** What is asked for until the lease is granted: to one that takes over, or at the third request. */
    async function askAgainst(process: ProcessIdentity | null, token: number | null): Promise<readonly LeaseRequest[]> {
      const requests: LeaseRequest[] = [];
      const holder = { source: 's', owner: 'other', token, expiresInMs: 5000, process };
      const keeper = build({
        acquireLease: (request) => {
          requests.push(request);
          const isGranted = request.ended != null || requests.length === 3;
          return Promise.resolve(isGranted ? granted : { grant: null, holder });
        },
      });
      await keeper.acquire(never);
      return requests;
    }

    it('takes it over at once when the process of the holder has ended', async () => {
      const ended = self && { ...self, startedTicks: self.startedTicks - 1 };
      const requests = await askAgainst(ended, 7);
      expect(requests.map((request) => request.ended)).toEqual([null, { owner: 'other', token: 7 }]);
    });

    it.each<[string, ProcessIdentity | null, number | null]>([
      ['runs', self, 7],
      ['is on another machine', self && { ...self, host: 'other', startedTicks: 1 }, 7],
      ['is not known', null, 7],
      ['has ended while the lease was being granted', self && { ...self, startedTicks: self.startedTicks - 1 }, null],
    ])('I5: waits for its end when its process %s', async (_what, process, token) => {
      const requests = await askAgainst(process, token);
      expect(requests.map((request) => request.ended)).toEqual([null, null, null]);
    });

    it('asks again when the lease ends, however rarely it is renewed', async () => {
      const holder = { source: 's', owner: 'other', token: 7, expiresInMs: 30, process: null };
      const answers: LeaseAnswer[] = [{ grant: null, holder }, granted];
      const office = {
        acquireLease: () => Promise.resolve(answers.shift() ?? granted),
        renewLease: () => Promise.resolve(true),
        releaseLease: () => Promise.resolve(),
      };
      const timing = { ttlMs: 60, renewMs: 600_000, monotonicMs: () => performance.now() };
      const options = { office, source: 's', owner: 'o', process: null, logger: silentLogger, ...timing };
      expect(await new LeaseKeeper(options).acquire(never)).toEqual(grant);
    });
  });

  it('resolves when it is asked to end', async () => {
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
              return Promise.resolve(grants ? granted : refused);
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
          ...{
            source: 's',
            owner: 'o',
            process: null,
            ttlMs,
            renewMs: 0,
            logger: silentLogger,
            monotonicMs: () => nowMs,
          },
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
      acquireLease: () => Promise.resolve(granted),
      renewLease: () => Promise.reject(down),
      releaseLease: () => Promise.resolve(),
    };
    const timing = { ttlMs: 30, renewMs: 600_000, monotonicMs: () => performance.now() };
    const keeper = new LeaseKeeper({ office, source: 's', owner: 'o', process: null, logger: silentLogger, ...timing });
    await keeper.acquire(never);
    await expect(keeper.renewUntil(grant, never)).rejects.toMatchObject({ code: 'DITTO_LEASE_LOST' });
  });
});
