/** What a growing counter showed at a moment, milliseconds since 1970. */
export interface Sample {
  readonly atMs: number;
  readonly value: number;
}

/** The counter at any moment, on a straight line between the samples around it; the first or last one outside. */
export function interpolate(samples: readonly Sample[], atMs: number): number {
  const next = samples.findIndex((sample) => sample.atMs >= atMs);
  const [before, after] = [samples[next - 1], samples[next]];
  if (after === undefined) return samples.at(-1)?.value ?? 0;
  if (before === undefined || after.atMs === before.atMs) return after.value;
  return before.value + ((after.value - before.value) * (atMs - before.atMs)) / (after.atMs - before.atMs);
}

/** When rows arrived. `rowsAtFirst` had arrived at `firstMs`, `rowsAtHalf` (half of all, or a few more) at `halfMs`. */
export interface Delivery {
  readonly firstMs: number;
  readonly rowsAtFirst: number;
  readonly halfMs: number;
  readonly rowsAtHalf: number;
  readonly lastMs: number;
}

/** From a counter that was looked at now and then; null unless it reached `rows`. */
export function deliveryFromSamples(samples: readonly Sample[], rows: number): Delivery | null {
  const first = samples.find(({ value }) => value > 0);
  const half = samples.find(({ value }) => value >= rows / 2);
  const last = samples.find(({ value }) => value >= rows);
  if (first === undefined || half === undefined || last === undefined) return null;
  const [rowsAtFirst, rowsAtHalf] = [first.value, half.value];
  return { firstMs: first.atMs, rowsAtFirst, halfMs: half.atMs, rowsAtHalf, lastMs: last.atMs };
}

/**
 * From a function that says how many rows had arrived up to and including a moment, in whole milliseconds; `toMs` is a
 * moment at which all had arrived.
 */
export async function deliveryFromCounter(
  countUntil: (atMs: number) => Promise<number>,
  rows: number,
  fromMs: number,
  toMs: number,
): Promise<Delivery> {
  const findMoment = async (atLeast: number): Promise<number> => {
    let [low, high] = [fromMs, toMs];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if ((await countUntil(middle)) >= atLeast) high = middle;
      else low = middle + 1;
    }
    return low;
  };
  const [firstMs, halfMs, lastMs] = [await findMoment(1), await findMoment(rows / 2), await findMoment(rows)];
  return { firstMs, rowsAtFirst: await countUntil(firstMs), halfMs, rowsAtHalf: await countUntil(halfMs), lastMs };
}

/** A row has arrived when every sink has it; the first arrival is the first one anywhere. */
export function combineDeliveries(deliveries: readonly Delivery[]): Delivery {
  const byFirst = deliveries.toSorted((a, b) => a.firstMs - b.firstMs);
  const byHalf = deliveries.toSorted((a, b) => b.halfMs - a.halfMs);
  const [first, slowest] = [byFirst[0], byHalf[0]];
  if (first === undefined || slowest === undefined) throw new RangeError('no delivery to combine');
  return {
    firstMs: first.firstMs,
    rowsAtFirst: first.rowsAtFirst,
    halfMs: slowest.halfMs,
    rowsAtHalf: slowest.rowsAtHalf,
    lastMs: Math.max(...deliveries.map(({ lastMs }) => lastMs)),
  };
}
