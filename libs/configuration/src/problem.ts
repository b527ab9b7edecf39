export type Path = readonly (string | number)[];

/** One thing that is wrong with the configuration. */
export interface ConfigProblem {
  readonly path: Path;
  /** The last name of the path may be a secret and is not shown. */
  readonly hidesName?: boolean;
  readonly problem: string;
  readonly remedy: string;
}

/** The path of a problem as people read it. */
export function formatPlace({ path, hidesName }: ConfigProblem): string {
  return hidesName === true
    ? `${formatPath(path.slice(0, -1))}${path.length > 1 ? '.' : ''}<a name>`
    : formatPath(path);
}

/** `sources.shop.endpoints[0].port` */
export function formatPath(path: Path): string {
  return path
    .map((part, index) => {
      if (typeof part === 'number') return `[${part}]`;
      const name = /^[\w-]+$/.test(part) ? part : JSON.stringify(part);
      return index === 0 ? name : `.${name}`;
    })
    .join('');
}

/** The name most like `name` by edit distance, when it is near enough to be meant. */
export function findNearest(name: string, known: readonly string[]): string | null {
  let nearest: string | null = null;
  let least = Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < least) [nearest, least] = [candidate, distance];
  }
  return nearest;
}

/** Damerau and Levenshtein, optimal string alignment: a swap of neighbours counts as one edit. */
function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, column) => column)];
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const at = (r: number, c: number) => (r === row ? current[c] : rows[r]?.[c]) ?? 0;
      const same = a[row - 1] === b[column - 1];
      let distance = Math.min(
        at(row - 1, column) + 1,
        at(row, column - 1) + 1,
        at(row - 1, column - 1) + (same ? 0 : 1),
      );
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1])
        distance = Math.min(distance, at(row - 2, column - 2) + 1);
      current.push(distance);
    }
    rows.push(current);
  }
  return rows[a.length]?.[b.length] ?? 0;
}
