import { beforeEach, expect, it } from '@jest/globals';
import { DittoError } from '#kernel';
import { type MirrorLook } from './mirror-look.ts';
import { MirrorTurns, type VersionRange } from './mirror-turns.ts';

const never = new AbortController().signal;

let nowMs: number;
let checkpoint: string;
let owners: Map<string, string>;
let kept: Map<string, string>;
let looks: (VersionRange & { readonly source: string })[];
let gaps: string[][];
let look: () => Promise<MirrorLook>;

/** As one process of several that share the places. */
function create(): MirrorTurns {
  return new MirrorTurns({
    places: {
      beginTurn: (source, owner) => Promise.resolve(!owners.has(source) && owners.set(source, owner).size > 0),
      endTurn: (source, owner) => {
        if (owners.get(source) === owner) owners.delete(source);
        return Promise.resolve();
      },
      load: (source) => Promise.resolve(kept.get(source) ?? null),
      save: (source, owner, version) => {
        if (owners.get(source) !== owner) return Promise.resolve(false);
        kept.set(source, version);
        return Promise.resolve(true);
      },
    },
    readCheckpoint: () => Promise.resolve(checkpoint),
    look: (source, range) => {
      looks.push({ source, ...range });
      return look();
    },
    onGap: (source, reason) => void gaps.push([source, reason]),
    nowMs: () => nowMs,
  });
}

beforeEach(() => {
  [nowMs, checkpoint] = [0, '01'];
  [owners, kept] = [new Map<string, string>(), new Map<string, string>()];
  [looks, gaps] = [[], []];
  look = () => Promise.resolve({ keys: 3, isWhole: true });
});

it('looks at what is new since the turn before, whoever had that', async () => {
  const [one, other] = [create(), create()];
  expect(await one.run('eu', never)).toEqual({ keys: 0 });
  checkpoint = '02';
  expect(await other.run('eu', never)).toEqual({ keys: 3 });
  expect(await one.run('eu', never)).toEqual({ keys: 0 });
  checkpoint = '03';
  await one.run('eu', never);
  expect(looks).toEqual([
    { source: 'eu', above: '01', upTo: '02' },
    { source: 'eu', above: '02', upTo: '03' },
  ]);
  expect(gaps).toEqual([]);
});

it('lets one at a time have the turn of a source; one whose turn is over keeps no place', async () => {
  const turns = create();
  await turns.run('eu', never);
  checkpoint = '02';
  let release: (looked: MirrorLook) => void = () => undefined;
  look = () => new Promise((resolve) => (release = resolve));
  const late = turns.run('eu', never);
  while (looks.length === 0) await Promise.resolve();
  expect(await create().run('eu', never)).toEqual({ keys: 0 });
  expect(looks).toHaveLength(1);

  // its time is over, and another one has gone on
  owners.clear();
  checkpoint = '09';
  look = () => Promise.resolve({ keys: 1, isWhole: true });
  await create().run('eu', never);
  release({ keys: 2, isWhole: true });
  await late;
  expect(kept.get('eu')).toBe('09');
});

it('counts what was passed over: more than one look takes, and a place that was lost', async () => {
  const turns = create();
  await turns.run('eu', never);
  checkpoint = '02';
  look = () => Promise.resolve({ keys: 20_000, isWhole: false });
  await turns.run('eu', never);
  expect(kept.get('eu')).toBe('02');
  kept.clear();
  await turns.run('eu', never);
  await turns.run('us', never);
  expect(gaps).toEqual([
    ['eu', 'too many'],
    ['eu', 'place lost'],
  ]);
});

it('says why a source stands until a turn of it succeeds, or for a minute', async () => {
  const turns = create();
  for (const source of ['eu', 'us']) await turns.run(source, never);
  checkpoint = '02';
  const away = new DittoError('DITTO_MONGO_UNAVAILABLE', 'no primary', { retriable: true });
  look = () => Promise.reject(away);
  await expect(turns.run('eu', never)).rejects.toBe(away);
  expect([turns.holdingBecause('eu'), turns.holdingBecause('us')]).toEqual([
    'DITTO_MONGO_UNAVAILABLE: no primary',
    null,
  ]);
  expect(kept.get('eu')).toBe('01');
  nowMs = 60_000;
  expect(turns.holdingBecause('eu')).toBeNull();
  await expect(turns.run('eu', never)).rejects.toBe(away);
  expect(turns.holdingBecause('eu')).not.toBeNull();
  look = () => Promise.resolve({ keys: 1, isWhole: true });
  await turns.run('eu', never);
  expect(turns.holdingBecause('eu')).toBeNull();
});
