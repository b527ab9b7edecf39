import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { type ServerHeartbeat } from '#dcs-client';
import { DittoError, silentLogger } from '#kernel';
import { makeInspection } from '#testing';
import { type Loss } from './find-loss.ts';
import { ServerWatch } from './server-watch.ts';
import { type SurveyedServer } from './survey-servers.ts';

const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const [CURRENT, OTHER] = ['one:3306', 'two:3306'];
const refused = new DittoError('DITTO_SOURCE_UNAVAILABLE', 'refused', { retriable: true });

function primary(serverUuid: string, gtidExecuted = `${UUID}:1-10`) {
  return makeInspection({ serverUuid, gtidExecuted });
}

interface Cluster {
  current: SurveyedServer['answer'];
  other: SurveyedServer['answer'];
  heartbeats: readonly Partial<ServerHeartbeat>[];
}

function watch(parts: Partial<Cluster> = {}, heals = false) {
  jest.useFakeTimers();
  const cluster: Cluster = { current: refused, other: primary('b'), heartbeats: [], ...parts };
  const left: string[] = [];
  const givenUp: Loss[] = [];
  const one = new ServerWatch({
    source: 's',
    endpoint: CURRENT,
    serverUuid: 'a',
    afterMs: 1000,
    survey: () =>
      Promise.resolve([
        { index: 0, endpoint: CURRENT, answer: cluster.current },
        { index: 1, endpoint: OTHER, answer: cluster.other },
      ]),
    heartbeats: () => Promise.resolve(cluster.heartbeats as ServerHeartbeat[]),
    dispatchedSet: () => `${UUID}:1-10`,
    acceptGtids: '',
    leave: (candidate) => void left.push(candidate),
    waitMs: 3000,
    giveUp: heals ? (loss) => void givenUp.push(loss) : null,
    logger: silentLogger,
    nowMs: Date.now,
  });
  return { cluster, left, givenUp, one };
}

const pass = (ms: number): Promise<void> => jest.advanceTimersByTimeAsync(ms);

afterEach(() => {
  jest.useRealTimers();
});

describe('ServerWatch', () => {
  it('leaves a server that has not answered for the time, once, for one that may take its place', async () => {
    const { left, one } = watch();
    one.broken();
    await pass(900);
    expect(left).toEqual([]);
    await pass(300);
    one.broken();
    await pass(5000);
    expect(left).toEqual([OTHER]);
  });

  it('begins anew when the stream continued meanwhile', async () => {
    const { left, one } = watch();
    one.broken();
    await pass(900);
    one.over();
    await pass(5000);
    one.broken();
    await pass(900);
    expect(left).toEqual([]);
    await pass(300);
    expect(left).toEqual([OTHER]);
  });

  it('counts from when the server answered last, not from the break', async () => {
    const { cluster, left, one } = watch({ current: primary('a') });
    one.broken();
    await pass(10_000);
    cluster.current = refused;
    await pass(900);
    expect(left).toEqual([]);
    await pass(400);
    expect(left).toEqual([OTHER]);
  });

  it('leaves an endpoint that leads nowhere for another one of the same server', async () => {
    const { left, one } = watch({ other: primary('a') });
    one.broken();
    await pass(1500);
    expect(left).toEqual([OTHER]);
  });

  it('stays with a server that answers, whatever keeps its log from being read', async () => {
    const { left, one } = watch({ current: primary('a') });
    one.broken();
    await pass(60_000);
    expect(left).toEqual([]);
  });

  it('I7: stays while the others lack what was read, says so, and leaves when one has it', async () => {
    const { cluster, left, one } = watch({ other: primary('b', `${UUID}:1-9`) });
    one.broken();
    await pass(60_000);
    expect(left).toEqual([]);
    expect(one.refused.map(({ endpoint, error }) => [endpoint, error.code])).toEqual([
      [CURRENT, 'DITTO_SOURCE_UNAVAILABLE'],
      [OTHER, 'DITTO_SOURCE_GTIDS_MISSING'],
    ]);
    cluster.other = primary('b');
    await pass(300);
    expect(left).toEqual([OTHER]);
    one.over();
    expect(one.refused).toEqual([]);
  });

  it('a server that DWS reaches is left much later: it may be the way to it that is broken', async () => {
    const { cluster, left, one } = watch();
    const reached = { endpoint: CURRENT, serverUuid: 'a', reachable: true };
    cluster.heartbeats = [{ ...reached, probedAtMs: Date.now() + 500 }];
    one.broken();
    await pass(19_000);
    expect(left).toEqual([]);
    await pass(1500);
    expect(left).toEqual([OTHER]);
  });

  it('what DWS saw before the stream broke, of another server there, or not at all, says nothing', async () => {
    for (const heartbeat of [
      { serverUuid: 'a', reachable: true, probedAtMs: Date.now() - 60_000 },
      { serverUuid: 'c', reachable: true, probedAtMs: Date.now() + 60_000 },
      { serverUuid: null, reachable: false, probedAtMs: Date.now() + 60_000 },
    ]) {
      const { left, one } = watch({ heartbeats: [{ endpoint: CURRENT, ...heartbeat }] });
      one.broken();
      await pass(1500);
      expect(left).toEqual([OTHER]);
    }
  });

  it('gives up what no server has any more, once that has stood for the time, where the configuration says so', async () => {
    const lacking = primary('b', `${UUID}:1-9`);
    const { left, givenUp, one } = watch({ other: lacking }, true);
    one.broken();
    await pass(3500);
    expect(givenUp).toEqual([]);
    await pass(60_000);
    expect([givenUp, left]).toEqual([[{ endpoint: OTHER, gtids: `${UUID}:10` }], []]);
    const stays = watch({ other: lacking });
    stays.one.broken();
    await pass(60_000);
    expect(stays.givenUp).toEqual([]);
  });

  it('does not give up while a server may get what is missing, or DWS reaches the one that has it', async () => {
    const lacking = primary('b', `${UUID}:1-9`);
    const replica = makeInspection({ serverUuid: 'b', gtidExecuted: `${UUID}:1-9` }, {});
    const { cluster, givenUp, one } = watch({ other: replica }, true);
    one.broken();
    await pass(10_000);
    cluster.other = lacking;
    cluster.heartbeats = [{ endpoint: CURRENT, serverUuid: 'a', reachable: true, probedAtMs: Date.now() }];
    await pass(10_000);
    expect(givenUp).toEqual([]);
    cluster.heartbeats = [];
    await pass(3500);
    expect(givenUp).toHaveLength(1);
  });
});
