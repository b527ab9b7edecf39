import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { assignFree, chooseMove, type SharedSource, type ShareView } from './share-plan.ts';

interface Given {
  readonly weight?: number;
  readonly isMovable?: boolean;
  readonly placedOn?: string;
}

/** `a: ['s1', 's2']` owns these; of `''` nobody does. */
function view(
  owners: Readonly<Record<string, readonly string[]>>,
  given: Readonly<Record<string, Given>> = {},
): ShareView {
  const sources = Object.entries(owners).flatMap(([owner, names]) =>
    names.map((name): SharedSource => {
      const { weight = 1, isMovable = true, placedOn = null } = given[name] ?? {};
      return { name, owner: owner === '' ? null : owner, weight, isMovable, placedOn };
    }),
  );
  const all = new Set(sources.map(({ name }) => name));
  const instances = Object.keys(owners).filter((name) => name !== '');
  return { instances: instances.map((name) => ({ name, sources: all })), sources };
}

function after({ instances, sources }: ShareView, moved: { source: string; to: string }): ShareView {
  return {
    instances,
    sources: sources.map((one) => (one.name === moved.source ? { ...one, owner: moved.to } : one)),
  };
}

function sharesOf({ instances, sources }: ShareView): number[] {
  return instances.map(({ name }) =>
    sources.filter(({ owner }) => owner === name).reduce((sum, { weight }) => sum + weight, 0),
  );
}

/** Moves until none is left to be made; their number. */
function settle(start: ShareView): { readonly view: ShareView; readonly moves: number } {
  let now = start;
  for (let moves = 0; ; moves++) {
    const move = chooseMove(now);
    if (move === null) return { view: now, moves };
    if (moves > 1000) throw new Error('it never comes to rest');
    now = after(now, move);
  }
}

const worlds = fc
  .record({
    instances: fc.integer({ min: 1, max: 6 }),
    sources: fc.array(fc.record({ weight: fc.integer({ min: 1, max: 9 }), owner: fc.nat(6) }), { maxLength: 20 }),
  })
  .map(({ instances, sources }): ShareView => {
    const names = sources.map((_, i) => `s${String(i).padStart(2, '0')}`);
    const all = new Set(names);
    return {
      instances: Array.from({ length: instances }, (_, i) => ({ name: `i${i}`, sources: all })),
      sources: sources.map(({ weight, owner }, i) => ({
        ...{ name: names[i] ?? '', weight, isMovable: true, placedOn: null },
        owner: owner < instances ? `i${owner}` : null,
      })),
    };
  });

describe('chooseMove', () => {
  it('gives a new instance its share, one source after the other, and then rests', () => {
    const { view: even, moves } = settle(view({ a: ['s1', 's2', 's3', 's4', 's5', 's6'], b: [], c: [] }));
    expect([sharesOf(even), moves]).toEqual([[2, 2, 2], 4]);
  });

  it('moves nothing for a difference of one source', () => {
    expect(chooseMove(view({ a: ['s1', 's2'], b: ['s3'] }))).toBeNull();
    expect(chooseMove(view({ a: ['s1'], b: [] }))).toBeNull();
  });

  it('counts by weight: one heavy source is a share like several light ones', () => {
    const heavy = { s1: { weight: 3 } };
    expect(chooseMove(view({ a: ['s1'], b: ['s2', 's3', 's4'] }, heavy))).toBeNull();
    expect(settle(view({ a: ['s1', 's2', 's3', 's4'], b: [] }, heavy)).view.sources).toMatchObject([
      { name: 's1', owner: 'b' },
      { owner: 'a' },
      { owner: 'a' },
      { owner: 'a' },
    ]);
  });

  it('leaves alone what may not move, what an operator has placed, and who does not have the source', () => {
    const fixed = { s1: { isMovable: false }, s2: { placedOn: 'a' } };
    expect(chooseMove(view({ a: ['s1', 's2'], b: [] }, fixed))).toBeNull();
    expect(chooseMove(view({ a: ['s1', 's2'], b: [] }, { s1: { placedOn: 'gone' } }))).toMatchObject({ source: 's1' });
    const { sources } = view({ a: ['s1', 's2', 's3'] });
    const instances = [
      { name: 'a', sources: new Set(['s1', 's2', 's3']) },
      { name: 'b', sources: new Set(['s3']) },
    ];
    expect(chooseMove({ instances, sources })).toEqual({ source: 's3', from: 'a', to: 'b' });
  });

  it('always comes to rest, and then no pair of shares is further apart than half more than a source that could move', () => {
    fc.assert(
      fc.property(worlds, (world) => {
        const { view: rest } = settle(world);
        const shares = new Map(rest.instances.map(({ name }, i) => [name, sharesOf(rest)[i] ?? 0]));
        for (const { owner, weight } of rest.sources)
          if (owner !== null)
            for (const share of shares.values())
              expect((shares.get(owner) ?? 0) - share).toBeLessThanOrEqual(1.5 * weight);
      }),
    );
  });
});

describe('assignFree', () => {
  it('shares what a dead instance has left among the others, evenly', () => {
    const { sources } = view({ a: ['s1', 's2', 's3', 's4'], b: ['s5'], c: ['s6', 's7'] });
    const { instances } = view({ b: ['s1', 's2', 's3', 's4', 's5', 's6', 's7'], c: [] });
    expect([...assignFree({ instances, sources })]).toEqual([
      ['s1', 'b'],
      ['s2', 'b'],
      ['s3', 'c'],
      ['s4', 'b'],
    ]);
  });

  it('gives a source to where an operator has placed it', () => {
    const given = { s1: { placedOn: 'b' } };
    expect(assignFree(view({ a: [], b: ['s2', 's3'], '': ['s1'] }, given)).get('s1')).toBe('b');
  });

  it('assigns each free source to one instance that has it, and no other', () => {
    fc.assert(
      fc.property(worlds, (world) => {
        const assigned = assignFree(world);
        const free = world.sources.filter(({ owner }) => owner === null).map(({ name }) => name);
        expect([...assigned.keys()].sort()).toEqual(free.sort());
      }),
    );
  });
});
