import { describe, expect, it } from '@jest/globals';
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
    expect(performance.now() - beganAt).toBeLessThan(200);
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
    await expect(keeper.renewUntil(grant, never)).rejects.toThrow('somebody else');
    expect(answers).toEqual([]);
  });

  it('resolves when it is told to end', async () => {
    const keeper = build({});
    await keeper.acquire(never);
    const done = new AbortController();
    const renewal = keeper.renewUntil(grant, done.signal);
    done.abort();
    await renewal;
  });
});
