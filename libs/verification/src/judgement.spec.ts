import { describe, expect, it } from '@jest/globals';
import { GtidSet } from '#change-events';
import { isAtRest, judge, judgeAtRest } from './judgement.ts';
import { type StoredRow } from './ports/verified-sink.ts';

const SERVER = '11111111-1111-1111-1111-111111111111';
const EARLIER = '00000001000000010000000000100000000000000000';
const CHECKPOINT = '0000000100000001000000000020ffffffffffffffff';
const LATER = '00000001000000010000000000300000000000000000';

function stored(given: Partial<StoredRow> = {}): StoredRow {
  return { version: EARLIER, gtid: null, isDeleted: false, damage: null, fingerprint: '', compare: () => [], ...given };
}

describe('isAtRest', () => {
  it.each<[boolean, string, Partial<StoredRow>]>([
    [true, 'a version that the checkpoint covers', {}],
    [true, 'the version of the checkpoint itself', { version: CHECKPOINT }],
    [false, 'a later version', { version: LATER }],
    [false, 'no version', { version: null }],
    [false, 'damage', { damage: 'it has a field "x"' }],
    [false, 'an impossible version before it', { outrankedBy: LATER }],
  ])('%s: %s', (expected, _, given) => {
    expect(isAtRest(stored(given), { version: CHECKPOINT, covered: GtidSet.parse(`${SERVER}:1-9`) })).toBe(expected);
  });
});

describe('judgeAtRest', () => {
  it.each([
    ['possible up to the highest version', CHECKPOINT, 'equal'],
    ['damaged above it', LATER, { kind: 'damaged', damage: expect.stringContaining(LATER) }],
  ])('a version that came before what is stored is %s', (_, outrankedBy, expected) => {
    const judgement = judgeAtRest([1, 10], stored({ outrankedBy }), CHECKPOINT);
    expect(judgement).toEqual(typeof expected === 'string' ? expected : expect.objectContaining(expected));
  });
});

describe('judge', () => {
  const bounds = { checkpoint: CHECKPOINT, covered: GtidSet.parse(`${SERVER}:1-9`), highest: LATER };

  it.each([
    [true, { kind: 'missing', differences: [], damage: null }],
    [false, 'moving'],
  ])('I8: an absent row is missing only while each trace is kept (%s)', (keptTraces, expected) => {
    expect(judge([1, 10], null, { ...bounds, keptTraces })).toEqual(expected);
    expect(judge(null, null, { ...bounds, keptTraces })).toBe('equal');
    expect(judge([1, 10], stored(), { ...bounds, keptTraces })).toBe('equal');
  });
});
