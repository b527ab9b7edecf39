import { describe, expect, it } from '@jest/globals';
import { type Checkpoint } from '#change-events';
import { type SourceConfig } from '#configuration';
import { DittoError } from '#kernel';
import { type EndpointInspection } from '#mysql';
import { makeInspection } from '#testing';
import { type ChooseServersOptions, type OpeningRefusal } from '../switching/choose-server.ts';
import { switchAsAsked } from './switch-as-asked.ts';

const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const AWAY = new DittoError('DITTO_SOURCE_UNREACHABLE', 'no answer', { retriable: true });
const OWN = { to: 'h2:1', askedBy: null, givesUp: '' };
const OPERATORS = { ...OWN, askedBy: 'alice' };

function server(serverUuid: string, parts: Partial<EndpointInspection> = {}): EndpointInspection {
  return makeInspection({ serverUuid, gtidExecuted: `${UUID}:1-10`, ...parts });
}

const STANDING = server('a', { readOnly: true });

/** The source is on the server `a`, h1; what happened, in order. */
async function attempt(
  pending: typeof OPERATORS | typeof OWN,
  answers: readonly (EndpointInspection | DittoError)[],
  failure: DittoError | null = null,
  becomes = 'a',
) {
  const log: string[] = [];
  let serverUuid = 'a';
  const source = {
    ...{ name: 's', acceptGtids: '', endpoints: answers.map((_, index) => ({ host: `h${index + 1}`, port: 1 })) },
    switch: { mode: 'automatic', afterMs: 400, waitMs: 400, onLoss: 'stop' },
  } as unknown as SourceConfig;
  const described = (): ChooseServersOptions => ({
    ...{ source, signal: new AbortController().signal, nowMs: Date.now },
    checkpoint: { position: { serverUuid }, dispatchedSet: `${UUID}:1-10` } as unknown as Checkpoint,
    survey: () => Promise.resolve(answers.map((answer, index) => ({ index, endpoint: `h${index + 1}:1`, answer }))),
  });
  const refused: OpeningRefusal[] = [];
  const run = switchAsAsked({
    ...{ pending, refused, seen: { heartbeats: () => Promise.resolve([]), seenSinceMs: null } },
    describe: () => Promise.resolve(described()),
    openOn: ({ endpoint }) => {
      log.push(`open ${endpoint}`);
      serverUuid = becomes;
      return failure === null ? Promise.resolve('run') : Promise.reject(failure);
    },
    finish: () => Promise.resolve(void log.push('finish')),
    onFailed: (from, { code }) => log.push(`${from}: ${code}`),
  });
  await run.then(
    (opened) => log.push(String(opened)),
    (cause: unknown) => log.push(`rejects with ${(cause as DittoError).code}`),
  );
  return log;
}

describe('a move from a server that stands still', () => {
  it('is done by whoever opens the source next', async () => {
    expect(await attempt(OWN, [STANDING, server('b')])).toEqual(['open h2:1', 'run']);
    // it ended since
    expect(await attempt(OWN, [AWAY, server('b')])).toEqual(['open h2:1', 'run']);
  });

  it('is not done where the server follows again; that is no failure', async () => {
    const following = makeInspection({ serverUuid: 'a', readOnly: true }, {});
    for (const current of [server('a'), following])
      expect(await attempt(OWN, [current, server('b')])).toEqual(['finish', 'null']);
  });

  it('is given up where the other one can not be opened for now, and the present one answers', async () => {
    expect(await attempt(OWN, [STANDING, server('b')], AWAY)).toEqual([
      'open h2:1',
      'finish',
      'a: DITTO_SOURCE_UNREACHABLE',
      'null',
    ]);
  });

  it.each([
    ['the present one does not answer', [AWAY, server('b')], AWAY, 'a'],
    ['a sink fails', [STANDING, server('b')], new DittoError('DITTO_KAFKA_UNAVAILABLE', '', { retriable: true }), 'a'],
    ['the source was moved already', [STANDING, server('b')], AWAY, 'b'],
  ] as const)('stays pending where %s', async (_what, answers, failure, becomes) => {
    expect(await attempt(OWN, answers, failure, becomes)).toEqual(['open h2:1', `rejects with ${failure.code}`]);
  });
});

describe('a switch that an operator asked for', () => {
  it('is done whatever the present server shows, and tried again while that may succeed', async () => {
    expect(await attempt(OPERATORS, [server('a'), server('b')])).toEqual(['open h2:1', 'run']);
    expect(await attempt(OPERATORS, [STANDING, server('b')], AWAY)).toEqual([
      'open h2:1',
      'rejects with DITTO_SOURCE_UNREACHABLE',
    ]);
  });

  it('is not done where the server is not fit for it, or its log is another', async () => {
    const lacking = server('b', { gtidExecuted: `${UUID}:1-9` });
    expect(await attempt(OPERATORS, [server('a'), lacking])).toEqual([
      'finish',
      'a: DITTO_SOURCE_GTIDS_MISSING',
      'null',
    ]);
    const another = new DittoError('DITTO_SOURCE_LOG_REPLACED', 'another');
    expect(await attempt(OPERATORS, [server('a'), server('b')], another)).toEqual([
      'open h2:1',
      'finish',
      'a: DITTO_SOURCE_LOG_REPLACED',
      'null',
    ]);
  });

  it('I5: is left to the newest owner', async () => {
    const fenced = new DittoError('DITTO_LEASE_FENCED', 'another owner');
    expect(await attempt(OWN, [STANDING, server('b')], fenced)).toEqual([
      'open h2:1',
      'rejects with DITTO_LEASE_FENCED',
    ]);
  });
});
