import { describe, expect, it } from '@jest/globals';
import { type Checkpoint } from '#change-events';
import { type SourceConfig } from '#configuration';
import { type ServerHeartbeat } from '#dcs-client';
import { DittoError } from '#kernel';
import { type EndpointInspection } from '#mysql';
import { makeInspection } from '#testing';
import { awaitServer, chooseServer, findLossRefusal, isLossOver } from './choose-server.ts';
import { type RefusedServer } from './judge-servers.ts';
import { type SurveyedServer } from './survey-servers.ts';

const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const refused = new DittoError('DITTO_SOURCE_UNAVAILABLE', 'refused', { retriable: true });

function server(serverUuid: string, parts: Partial<EndpointInspection> = {}): EndpointInspection {
  return makeInspection({ serverUuid, gtidExecuted: `${UUID}:1-10`, ...parts });
}

type Answer = SurveyedServer['answer'];
type Options = Parameters<typeof chooseServer>[0];

/** Each survey gives the next answers of the servers h1, h2, …, the last one again and again. */
function options(surveys: readonly (readonly Answer[])[], parts: Partial<Options> = {}, mode = 'automatic') {
  let turn = 0;
  const endpoints = surveys[0]?.map((_, index) => ({ host: `h${index + 1}`, port: 1 })) ?? [];
  return {
    source: {
      name: 's',
      acceptGtids: '',
      endpoints,
      switch: { mode, afterMs: 400, waitMs: 400, onLoss: 'stop' },
    } as unknown as SourceConfig,
    checkpoint: { position: { serverUuid: 'a' }, dispatchedSet: `${UUID}:1-10` } as unknown as Checkpoint,
    leftUuid: null,
    startsOver: false,
    refused: [],
    heartbeats: () => Promise.resolve([]),
    onNoServer: () => undefined,
    survey: () => {
      const answers = surveys[Math.min(turn++, surveys.length - 1)] ?? [];
      return Promise.resolve(answers.map((answer, index) => ({ index, endpoint: `h${index + 1}:1`, answer })));
    },
    signal: new AbortController().signal,
    nowMs: Date.now,
    ...parts,
  };
}

/** Each look at it is so much later. */
function clock(stepMs: number): () => number {
  let now = 0;
  return () => (now += stepMs);
}

async function choose(...of: Parameters<typeof options>): Promise<string> {
  const { endpoint, isCurrent } = await chooseServer(options(...of));
  return isCurrent ? `${endpoint}, current` : endpoint;
}

describe('the server that a source is opened on', () => {
  it('is the one that it was streamed from, wherever that is, while it answers', async () => {
    expect(await choose([[server('b'), server('a')]])).toBe('h2:1, current');
    expect(
      await choose([
        [server('b'), refused],
        [server('b'), server('a')],
      ]),
    ).toBe('h2:1, current');
  });

  it('I7: is otherwise the first that misses nothing, and on which it was not refused', async () => {
    const lacking = server('c', { gtidExecuted: `${UUID}:1-9` });
    const answers = [lacking, server('d'), refused, server('b')];
    expect(await choose([answers])).toBe('h2:1');
    const unfit = { endpoint: 'h2:1', error: refused, mayPass: false };
    expect(await choose([answers], { refused: [{ ...unfit, untilMs: Infinity }] })).toBe('h4:1');
    expect(await choose([answers], { refused: [{ ...unfit, untilMs: 0 }] })).toBe('h2:1');
  });

  it('may have purged what the operator answers for, and nothing else that was not read', async () => {
    const purged = server('b', { gtidExecuted: `${UUID}:1-12`, gtidPurged: `${UUID}:1-12` });
    const given = options([[refused, purged]], { leftUuid: 'a' });
    const source = { ...given.source, acceptGtids: `${UUID}:11-12` };
    expect((await chooseServer({ ...given, source })).endpoint).toBe('h2:1');
    let now = 0;
    await expect(chooseServer({ ...given, nowMs: () => (now += 10_000) })).rejects.toMatchObject({
      message: expect.stringContaining('DITTO_SOURCE_PURGED'),
    });
  });

  it('is not waited for where the server was just left because it was lost', async () => {
    const beganAt = performance.now();
    expect(await choose([[refused, server('b')]], { leftUuid: 'a' })).toBe('h2:1');
    expect(performance.now() - beganAt).toBeLessThan(200);
  });

  it('can not be chosen while no other may follow: the error says why of each, until one may', async () => {
    const lacking = server('c', { gtidExecuted: `${UUID}:1-9` });
    const reported: (readonly [DittoError, readonly RefusedServer[]])[] = [];
    const surveys = [...Array.from({ length: 4 }, () => [refused, lacking]), [refused, server('c')]];
    const onNoServer: Options['onNoServer'] = (...of) => reported.push(of);
    expect(await choose(surveys, { onNoServer })).toBe('h2:1');
    const [error, servers] = reported[0] ?? [];
    expect(error).toMatchObject({ code: 'DITTO_SOURCE_NO_SERVER', retriable: true });
    expect(error?.message).toMatch(
      /h1:1: refused \(DITTO_SOURCE_UNAVAILABLE\); h2:1: .*:10 \(DITTO_SOURCE_GTIDS_MISSING\)/,
    );
    expect(servers?.map(({ endpoint }) => endpoint)).toEqual(['h1:1', 'h2:1']);
  });

  it('ends the attempt after a minute without one: another instance may reach others', async () => {
    let now = 0;
    const nowMs = (): number => (now += 10_000);
    await expect(choose([[refused, refused]], { nowMs })).rejects.toMatchObject({ code: 'DITTO_SOURCE_NO_SERVER' });
  });

  it('is not chosen where an operator moves the source', async () => {
    let now = 0;
    const nowMs = (): number => (now += 10_000);
    await expect(choose([[refused, server('b')]], { nowMs }, 'manual')).rejects.toMatchObject({
      code: 'DITTO_SOURCE_NO_SERVER',
      message: expect.stringContaining('h2:1: could take its place, but switch.mode is manual'),
    });
  });

  it('need have nothing of what was read where the source starts over, nor of its log from before', async () => {
    const lacking = server('c', { gtidExecuted: `${UUID}:1-9`, gtidPurged: `${UUID}:1-5` });
    expect(await choose([[refused, lacking]], { startsOver: true }, 'manual')).toBe('h2:1');
    expect(await choose([[refused, lacking, server('d')]], { startsOver: true })).toBe('h3:1');
  });

  it('is at the first start the first that answers', async () => {
    expect(await choose([[server('b'), server('a')]], { checkpoint: null })).toBe('h1:1, current');
    const purged = server('a', { gtidPurged: `${UUID}:1-5` });
    expect(await choose([[refused, purged]], { checkpoint: null })).toBe('h2:1, current');
  });
});

describe('a switch that was asked for', () => {
  const lagging = server('b', {
    gtidExecuted: `${UUID}:1-9`,
    replica: makeInspection({}, {}).replica,
  });

  it('waits until the server has executed what was read', async () => {
    const surveys = [
      [server('a'), lagging],
      [server('a'), server('b')],
    ];
    expect((await awaitServer({ ...options(surveys), to: 'h2:1', givesUp: '' })).index).toBe(1);
  });

  it('does not wait for longer than the limit, nor for what does not pass', async () => {
    await expect(awaitServer({ ...options([[server('a'), lagging]]), to: 'h2:1', givesUp: '' })).rejects.toMatchObject({
      code: 'DITTO_SOURCE_GTIDS_MISSING',
    });
    const purged = server('b', { gtidExecuted: `${UUID}:1-20`, gtidPurged: `${UUID}:1-15` });
    const beganAt = performance.now();
    await expect(awaitServer({ ...options([[server('a'), purged]]), to: 'h2:1', givesUp: '' })).rejects.toMatchObject({
      code: 'DITTO_SOURCE_PURGED',
    });
    expect(performance.now() - beganAt).toBeLessThan(300);
  });

  it('names the endpoints when there is no such one', async () => {
    await expect(
      awaitServer({ ...options([[server('a'), server('b')]]), to: 'h3:1', givesUp: '' }),
    ).rejects.toMatchObject({
      code: 'DITTO_SOURCE_ENDPOINT_UNKNOWN',
      remedy: 'Its endpoints are h1:1, h2:1.',
    });
  });
});

describe('transactions that no server has any more', () => {
  const lacking = server('b', { gtidExecuted: `${UUID}:1-8,22222222-2222-2222-2222-222222222222:1` });
  const heals = (given: Options, mode = 'automatic'): Options => ({
    ...given,
    source: { ...given.source, switch: { ...given.source.switch, mode, onLoss: 'heal' } } as never,
  });

  it('are given up after the time, where the configuration says so, on the primary that goes on', async () => {
    const given = options([[refused, lacking]], { leftUuid: 'a' });
    const beganAt = performance.now();
    const chosen = await chooseServer(heals(given));
    expect([chosen.index, chosen.isCurrent, chosen.loss]).toEqual([
      1,
      false,
      { endpoint: 'h2:1', gtids: `${UUID}:9-10` },
    ]);
    expect(performance.now() - beganAt).toBeGreaterThanOrEqual(390);
  });

  it('are waited for while another server may be used, or get them, or an operator moves the source', async () => {
    const replica = server('b', { gtidExecuted: `${UUID}:1-8`, replica: makeInspection({}, {}).replica });
    for (const [surveys, mode] of [
      [[[refused, lacking, server('c')]], 'automatic'],
      [[[refused, replica]], 'automatic'],
      [[[refused, lacking]], 'manual'],
    ] as const) {
      let now = 0;
      const given = options(surveys, { leftUuid: 'a', nowMs: () => (now += 10_000) });
      const chosen = await chooseServer(heals(given, mode)).catch(() => null);
      expect(chosen?.loss ?? null).toBeNull();
    }
  });

  const primary = (serverUuid: string, last: number): Answer =>
    server(serverUuid, { gtidExecuted: `${UUID}:1-${last}` });

  it('are what the server lacks that lacks least, in whatever order they are; a person decides where each has some of it', async () => {
    const nobody = server('d', { gtidExecuted: `${UUID}:1-8:10` });
    const following = server('e', { gtidExecuted: `${UUID}:1-7`, replica: makeInspection({}, {}).replica });
    const ahead = { ...following, gtidExecuted: `${UUID}:1-9` };
    for (const [answers, endpoint] of [
      [[refused, primary('b', 7), primary('c', 9)], 'h3:1'],
      [[refused, primary('b', 8), primary('c', 8)], 'h2:1'],
      [[refused, primary('b', 8), following], 'h2:1'],
      [[refused, primary('b', 9), nobody], null],
      [[refused, primary('b', 8), ahead], null],
    ] as const) {
      const given = heals(options([answers], { leftUuid: 'a', nowMs: clock(30_000) }));
      const chosen = await chooseServer(given).catch(() => null);
      expect(chosen?.loss?.endpoint ?? null).toBe(endpoint);
    }
  });

  it('stand from when they were the same: a server may still apply what it has received', async () => {
    const surveys = [5, 6, 7, 8].map((last) => [refused, primary('b', last)]);
    const nowMs = clock(100);
    const { loss } = await chooseServer(heals(options(surveys, { leftUuid: 'a', nowMs })));
    expect(loss?.gtids).toBe(`${UUID}:9-10`);
  });

  it('are given up within one attempt, however long they have to stand', async () => {
    const given = heals(options([[refused, lacking]], { nowMs: clock(15_000) }));
    const source = { ...given.source, switch: { ...given.source.switch, afterMs: 100_000, waitMs: 40_000 } };
    expect((await chooseServer({ ...given, source })).loss).not.toBeNull();
  });

  it('are waited for while DWS reaches the server that has them', async () => {
    let asked = 0;
    const nowMs = clock(100);
    const heartbeat = { endpoint: 'h1:1', serverUuid: 'a', reachable: true, probedAtMs: Infinity };
    const heartbeats = () => Promise.resolve((++asked <= 2 ? [heartbeat] : []) as never);
    const { loss } = await chooseServer(heals(options([[refused, lacking]], { leftUuid: 'a', heartbeats, nowMs })));
    expect([loss?.endpoint, asked]).toEqual(['h2:1', 3]);
  });

  it('are not lost any more when a server that has them answers: the one that was streamed, or one that may follow it', async () => {
    for (const [answers, isOver] of [
      [[refused, lacking], false],
      [[server('a'), lacking], true],
      [[server('a', { readOnly: true }), lacking], true],
      [[primary('a', 9), lacking], false],
      [[refused, lacking, server('c')], true],
    ] as const)
      expect(await isLossOver(options([answers]), 'h2:1', seen())).toBe(isOver);
    // it was given up, and the source is there
    expect(await isLossOver(options([[server('a'), lacking]]), 'h1:1', seen())).toBe(false);
  });

  it('are not lost while DWS reaches the server that has them, as far as that was not just looked at', async () => {
    const since = Date.now();
    const unseen = { probedAtMs: since - 1 };
    for (const [answers, seenSinceMs, heartbeat, isOver] of [
      [[refused, lacking], since, {}, true],
      [[refused, lacking], since, unseen, false],
      [[refused, lacking], since, { serverUuid: 'c' }, false],
      [[refused, lacking], since, { reachable: false }, false],
      [[refused, lacking], null, {}, false],
      // it has lost them itself
      [[primary('a', 9), lacking], since, {}, false],
    ] as const)
      expect(await isLossOver(options([answers]), 'h2:1', seen(seenSinceMs, heartbeat))).toBe(isOver);
  });

  function seen(seenSinceMs: number | null = null, heartbeat: Partial<ServerHeartbeat> = {}) {
    const found = { serverUuid: 'a', reachable: true, probedAtMs: Date.now() + 1000, ...heartbeat } as ServerHeartbeat;
    return { seenSinceMs, heartbeats: () => Promise.resolve([found]) };
  }

  const refuse = async (answers: readonly Answer[], gtids: string, to = 'h2:1'): Promise<string | null> => {
    const { source, checkpoint, survey, signal } = options([answers]);
    return (await findLossRefusal(source, { endpoint: to, gtids }, checkpoint, survey, signal))?.code ?? null;
  };

  it('I7: may be given up by an operator who names all of them, and a server that goes on without', async () => {
    const lost = `${UUID}:9-10`;
    expect(await refuse([refused, lacking], lost)).toBeNull();
    for (const other of [`${UUID}:9`, `${UUID}:8-10`, `${UUID}:9-11`])
      expect(await refuse([refused, lacking], other)).toBe('DITTO_SOURCE_LOSS_DIFFERS');
    expect(await refuse([refused, lacking], lost, 'h3:1')).toBe('DITTO_SOURCE_ENDPOINT_UNKNOWN');
    expect(await refuse([refused, refused], lost)).toBe('DITTO_SOURCE_UNAVAILABLE');
    expect(await refuse([refused, { ...lacking, readOnly: true }], lost)).toBe('DITTO_SOURCE_SERVER_STALE');
    const purged = { ...lacking, gtidPurged: '22222222-2222-2222-2222-222222222222:1' };
    expect(await refuse([refused, purged], lost)).toBe('DITTO_SOURCE_PURGED');
  });

  it('I7: are not lost while the server of the source has them, or the named one; they are where it has lost them itself', async () => {
    expect(await refuse([server('a'), lacking], `${UUID}:9-10`)).toBe('DITTO_SOURCE_NOTHING_LOST');
    expect(await refuse([refused, server('b')], `${UUID}:9-10`)).toBe('DITTO_SOURCE_NOTHING_LOST');
    expect(await refuse([refused, lacking, server('c')], `${UUID}:9-10`)).toBe('DITTO_SOURCE_NOTHING_LOST');
    const crashed = server('a', { gtidExecuted: `${UUID}:1-9` });
    expect(await refuse([crashed], `${UUID}:10`, 'h1:1')).toBeNull();
  });

  it('are not lost where the named replica has received them, and has yet to apply them', async () => {
    const replica = makeInspection({}, { notYetApplied: `${UUID}:10` }).replica;
    expect(await refuse([refused, { ...lacking, replica }], `${UUID}:9-10`)).toBe('DITTO_SOURCE_GTIDS_MISSING');
    const follower = { ...lacking, replica: makeInspection({}, {}).replica };
    expect(await refuse([refused, follower], `${UUID}:9-10`)).toBeNull();
  });

  it('are not asked for of the server that was named with them', async () => {
    const given = options([[refused, lacking]]);
    expect((await awaitServer({ ...given, to: 'h2:1', givesUp: `${UUID}:9-10` })).index).toBe(1);
    await expect(awaitServer({ ...given, to: 'h2:1', givesUp: `${UUID}:10` })).rejects.toMatchObject({
      code: 'DITTO_SOURCE_GTIDS_MISSING',
    });
  });
});
