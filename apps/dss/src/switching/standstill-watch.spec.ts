import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { type ServerHeartbeat } from '#dcs-client';
import { silentLogger, Waits } from '#kernel';
import { type EndpointInspection, type EndpointVitals } from '#mysql';
import { makeInspection } from '#testing';
import { watchStandstill } from './standstill-watch.ts';

const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const timing = { logger: silentLogger, everyMs: 1000, nowMs: () => Date.now() };
const REPLICA = { isReceiving: true, isApplying: true, hasFilters: false, lastError: '', notYetApplied: '' };

function serverAt(serverUuid: string, last: number, parts: Partial<EndpointInspection> = {}): EndpointInspection {
  return makeInspection({ serverUuid, gtidExecuted: `${UUID}:1-${last}`, ...parts });
}

afterEach(() => {
  jest.useRealTimers();
});

describe('the server that is streamed', () => {
  it('is waited for while it can show nothing new, and not while it does not answer', async () => {
    jest.useFakeTimers();
    const waits = new Waits({ limitMs: 10, logger: silentLogger, nowMs: Date.now });
    const primary = { kind: 'mysql', serverUuid: 'a', readOnly: false, replica: null, showsReplication: true } as const;
    let answer: Partial<EndpointVitals> | Error = primary;
    const probe = (): Promise<EndpointVitals> =>
      answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer as EndpointVitals);
    const options = { ...{ endpoint: 'db:3306', probe, leaving: null, waits }, ...timing };
    const stop = new AbortController();
    const work = watchStandstill(options, stop.signal);
    const shown = async (): Promise<string | undefined> => {
      await jest.advanceTimersByTimeAsync(1100);
      return waits.overdue[0]?.what;
    };
    expect(await shown()).toBeUndefined();
    answer = { ...primary, readOnly: true };
    const reason = 'db:3306 to show changes again: server a accepts no writes and replicates from no server';
    expect(await shown()).toBe(reason);
    answer = new Error('gone');
    expect(await shown()).toBe(reason);
    answer = primary;
    expect(await shown()).toBeUndefined();
    stop.abort();
    await work;
    expect(waits.overdue).toEqual([]);
  });

  /** `a` is streamed; each look takes a second. */
  function leave(
    current: EndpointInspection,
    other: EndpointInspection,
    parts: Partial<ServerHeartbeat>[] = [],
    third: EndpointInspection = current,
  ) {
    jest.useFakeTimers();
    const waits = new Waits({ limitMs: 10, logger: silentLogger, nowMs: Date.now });
    const cluster = { current, other, heartbeats: parts as ServerHeartbeat[], mayLeave: true };
    const left: string[] = [];
    const stop = new AbortController();
    const work = watchStandstill(
      {
        ...{ endpoint: 'one:3306', waits },
        probe: () => Promise.resolve(cluster.current),
        leaving: {
          ...{ afterMs: 3000, serverUuid: 'a', dispatchedSet: () => `${UUID}:1-10`, acceptGtids: '' },
          survey: () =>
            Promise.resolve([
              { index: 0, endpoint: 'one:3306', answer: cluster.current },
              { index: 1, endpoint: 'two:3306', answer: cluster.other },
              { index: 2, endpoint: 'three:3306', answer: third },
            ]),
          heartbeats: () => Promise.resolve(cluster.heartbeats),
          leave: (endpoints) => {
            if (cluster.mayLeave) left.push(endpoints.join());
            return Promise.resolve(cluster.mayLeave ? (endpoints[0] ?? null) : null);
          },
        },
        ...timing,
      },
      stop.signal,
    );
    const end = async (): Promise<void> => {
      stop.abort();
      await work;
    };
    return { cluster, waits, left, end };
  }
  const pass = (ms: number): Promise<void> => jest.advanceTimersByTimeAsync(ms);
  const stopped = serverAt('a', 10, { readOnly: true, replica: { ...REPLICA, isApplying: false } as never });
  const fenced = serverAt('a', 10, { readOnly: true });

  it.each([
    ['a replica whose replication is stopped', stopped],
    ['a primary that was made read-only', fenced],
  ])('is left once, for one that is ahead, when it has stood still for the time: %s', async (_what, current) => {
    const { left, end } = leave(current, serverAt('b', 11));
    await pass(2900);
    expect(left).toEqual([]);
    await pass(10_000);
    expect(left).toEqual(['two:3306']);
    await end();
  });

  it('is not left while nothing is written elsewhere, nor for one that stands still, or lacks what it has', async () => {
    for (const other of [
      serverAt('b', 10),
      serverAt('b', 20, { readOnly: true }),
      serverAt('b', 9, { gtidExecuted: `${UUID}:1-9:11-30` }),
      // all that was given to the sinks, and not all that may still be
      serverAt('b', 30, { gtidExecuted: `${UUID}:1-10:12-30` }),
    ]) {
      const { left, end } = leave(
        { ...stopped, gtidExecuted: `${UUID}:1-${other.gtidExecuted.includes(':12') ? 11 : 10}` },
        other,
      );
      await pass(20_000);
      expect(left).toEqual([]);
      await end();
    }
  });

  it('is not left when it shows changes in between', async () => {
    const { cluster, left, end } = leave(stopped, serverAt('b', 11));
    await pass(2500);
    cluster.current = serverAt('a', 10, { readOnly: true, replica: REPLICA as never });
    await pass(1000);
    cluster.current = stopped;
    await pass(2900);
    expect(left).toEqual([]);
    await pass(2000);
    expect(left).toEqual(['two:3306']);
    await end();
  });

  it('I8: is not left, nor called silent, while it executes something, though it does not show that it replicates', async () => {
    const hidden = (last: number): EndpointInspection =>
      serverAt('a', last, { readOnly: true, showsReplication: false });
    const { cluster, waits, left, end } = leave(hidden(10), serverAt('b', 900));
    for (let last = 11; last < 30; last++) {
      await pass(1000);
      cluster.current = hidden(last);
    }
    expect([left, waits.overdue]).toEqual([[], []]);
    // at a long transaction, or with nothing to apply
    await pass(20_000);
    expect(left).toEqual([]);
    expect(waits.overdue[0]?.what).toContain('does not show this user whether it replicates');
    cluster.current = { ...hidden(29), showsReplication: true };
    await pass(2000);
    expect(left).toEqual(['two:3306']);
    await end();
  });

  it('is not left while it applies what it has received, though it receives nothing', async () => {
    const lost = { readOnly: true, replica: { ...REPLICA, isReceiving: false } as never };
    const { cluster, left, end } = leave(serverAt('a', 10, lost), serverAt('b', 900));
    for (let last = 11; last < 30; last++) {
      await pass(1000);
      cluster.current = serverAt('a', last, lost);
    }
    expect(left).toEqual([]);
    await pass(5000);
    expect(left).toEqual(['two:3306']);
    await end();
  });

  it('is left for one of all that are ahead', async () => {
    const { left, end } = leave(stopped, serverAt('b', 11), [], serverAt('c', 12));
    await pass(4000);
    expect(left).toEqual(['two:3306,three:3306']);
    await end();
  });

  it('is not left while DWS finds that it follows, and tried again while it can not be left', async () => {
    const follows = {
      reachable: true,
      serverUuid: 'a',
      probedAtMs: Date.now() + 600_000,
      readOnly: true,
      replicaError: null,
    };
    const { cluster, left, end } = leave(stopped, serverAt('b', 11), [{ ...follows, replicaLagMs: 0 }]);
    await pass(20_000);
    expect(left).toEqual([]);
    cluster.mayLeave = false;
    cluster.heartbeats = [{ ...follows, replicaLagMs: null, replicaError: 'it rests' } as ServerHeartbeat];
    await pass(3000);
    cluster.mayLeave = true;
    await pass(1000);
    expect(left).toEqual(['two:3306']);
    await end();
  });
});
