/** A source as all instances see it. */
export interface SharedSource {
  readonly name: string;
  /** How much it counts in a share. */
  readonly weight: number;
  /** Who holds its lease, or has it reserved; null when nobody does. */
  readonly owner: string | null;
  /** Whether it may leave its owner without an operator's word. */
  readonly isMovable: boolean;
  /** Where an operator wants it; null where it may be anywhere. */
  readonly placedOn: string | null;
}

/** A living instance, and the sources that it can run. */
export interface SharingInstance {
  readonly name: string;
  readonly sources: ReadonlySet<string>;
}

export interface ShareView {
  readonly instances: readonly SharingInstance[];
  readonly sources: readonly SharedSource[];
}

export interface Move {
  readonly source: string;
  readonly from: string;
  readonly to: string;
}

/**
 * Who takes each source that nobody of `instances` owns: the heaviest first, each to the instance with the smallest share.
 * Instances that see the same come to the same result, so that they share what an instance leaves behind.
 */
export function assignFree({ instances, sources }: ShareView): ReadonlyMap<string, string> {
  const shares = sumShares({ instances, sources });
  const free = sources.filter(({ owner }) => owner === null || !shares.has(owner)).sort(byWeight);
  const assigned = new Map<string, string>();
  for (const { name, weight, placedOn } of free) {
    const able = instances.filter((instance) => instance.sources.has(name));
    const wanted = able.find((instance) => instance.name === placedOn);
    const taker = wanted ?? able.sort((a, b) => compareShares(shares, a.name, b.name))[0];
    if (taker === undefined) continue;
    assigned.set(name, taker.name);
    shares.set(taker.name, (shares.get(taker.name) ?? 0) + weight);
  }
  return assigned;
}

/**
 * The move that brings two shares nearest to each other; null when none is worth it. It must take more off their
 * difference than the source weighs, so it is never undone by the next: each one makes the sum of the squares of all
 * shares smaller.
 */
export function chooseMove({ instances, sources }: ShareView): Move | null {
  const shares = sumShares({ instances, sources });
  let best: Move | null = null;
  let bestGain = 0;
  let bestDifference = 0;
  for (const { name, weight, owner, isMovable, placedOn } of sources.toSorted(byName)) {
    if (owner === null || !isMovable || !shares.has(owner)) continue;
    if (placedOn !== null && shares.has(placedOn)) continue;
    for (const to of instances.toSorted(byName)) {
      if (to.name === owner || !to.sources.has(name)) continue;
      const difference = (shares.get(owner) ?? 0) - (shares.get(to.name) ?? 0);
      const gain = difference - Math.abs(difference - 2 * weight);
      if (gain <= weight || gain < bestGain || (gain === bestGain && difference <= bestDifference)) continue;
      best = { source: name, from: owner, to: to.name };
      bestGain = gain;
      bestDifference = difference;
    }
  }
  return best;
}

/** What the sources of each instance weigh. */
export function sumShares({ instances, sources }: ShareView): Map<string, number> {
  const shares = new Map(instances.map(({ name }) => [name, 0]));
  for (const { owner, weight } of sources) {
    const share = owner === null ? undefined : shares.get(owner);
    if (owner !== null && share !== undefined) shares.set(owner, share + weight);
  }
  return shares;
}

function compareShares(shares: ReadonlyMap<string, number>, a: string, b: string): number {
  return (shares.get(a) ?? 0) - (shares.get(b) ?? 0) || compareNames(a, b);
}

function byWeight(a: SharedSource, b: SharedSource): number {
  return b.weight - a.weight || byName(a, b);
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return compareNames(a.name, b.name);
}

function compareNames(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
