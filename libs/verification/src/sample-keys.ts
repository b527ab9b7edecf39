/** Rows are read so many at once or not at all, as long as there are that many: a read of a few costs nearly as much. */
const FEWEST = 100;

/**
 * Some of the keys of a chunk, so that each key of a table is among them with the probability `share`, whatever the size of
 * the chunks, and no key always or never.
 */
export function sampleKeys<Key>(
  keys: readonly Key[],
  share: number,
  random: () => number = Math.random,
): readonly Key[] {
  const wanted = keys.length * share;
  const fewest = Math.min(FEWEST, keys.length);
  const count = wanted >= fewest ? Math.floor(wanted + random()) : random() < wanted / fewest ? fewest : 0;
  if (count === 0) return [];
  const left = [...keys];
  return Array.from({ length: Math.min(count, keys.length) }, () => {
    const at = Math.floor(random() * left.length);
    const key = left[at] as Key;
    left[at] = left[left.length - 1] as Key;
    left.length--;
    return key;
  });
}
