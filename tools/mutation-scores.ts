/** What one run mutates: a part of the code, or single files under the name `files`, which has no score to hold. */
export interface MutatedPart {
  readonly part: string;
  readonly files: readonly string[];
  /** Every how manieth mutant is tried. */
  readonly oneIn: number;
}

/** A row of the table in docs/mutants.md. */
export interface MutationScore {
  readonly part: string;
  /** Globs below the root of the project. */
  readonly patterns: readonly string[];
  readonly oneIn: number;
  /** Percent with one decimal, the lowest that passes; null where it was not measured yet. */
  readonly score: number | null;
}

const noticed = new Set(['Killed', 'Timeout']);
const missed = new Set(['Survived', 'NoCoverage']);

/** Whether a mutant is among those that are tried; Stryker numbers them. */
export function isInSample(id: string, oneIn: number): boolean {
  return Number(id) % oneIn === 0;
}

/** Percent of the mutants that a spec noticed, with one decimal; null when there was no mutant that could run. */
export function rateMutants(results: readonly { readonly status: string }[]): number | null {
  const killed = results.filter(({ status }) => noticed.has(status)).length;
  const total = killed + results.filter(({ status }) => missed.has(status)).length;
  return total === 0 ? null : Math.floor((killed / total) * 1000) / 10;
}

/**
 * Rows of the form `| kafka | libs/kafka/src/varint.ts, libs/kafka/src/lane-*.ts | 1 in 4 | 93.5 % |`, paths in backticks
 * or not.
 * @throws Error when the page has no such row
 */
export function readMutationScores(page: string): MutationScore[] {
  const rows = page.split('\n').flatMap((line) => {
    const [, part, patterns, sample = '', score = ''] = line.split('|').map((cell) => cell.trim());
    if (!part || patterns === undefined || !/(?:apps|libs)\//.test(patterns)) return [];
    const measured = Number.parseFloat(score);
    return [
      {
        part,
        patterns: patterns.split(',').map((pattern) => pattern.replaceAll('`', '').trim()),
        oneIn: Number(/^1 in (\d+)$/.exec(sample)?.[1] ?? 1),
        score: Number.isNaN(measured) ? null : measured,
      },
    ];
  });
  if (rows.length === 0) throw new Error('The page has no table of mutation scores.');
  return rows;
}

/**
 * @param names parts of the table, or paths of files; none: every part of the table
 * @throws Error for a name that is neither
 */
export function chooseMutated(
  names: readonly string[],
  scores: readonly MutationScore[],
  glob: (pattern: string) => string[],
): MutatedPart[] {
  const find = (patterns: readonly string[]): string[] =>
    patterns.flatMap(glob).filter((path) => path.endsWith('.ts') && !/\.(?:spec|model)\.ts$/.test(path));
  const parts = scores.map(({ part, patterns, oneIn }) => ({ part, files: find(patterns), oneIn }));
  if (names.length === 0) return parts;
  const paths = names.filter((name) => parts.every(({ part }) => part !== name));
  const unknown = paths.filter((path) => find([path]).length === 0);
  if (unknown.length > 0)
    throw new Error(
      `Neither a part in docs/mutants.md nor a file: ${unknown.join(', ')}. Parts: ${parts.map(({ part }) => part).join(', ')}.`,
    );
  const chosen = parts.filter(({ part }) => names.includes(part));
  return paths.length === 0 ? chosen : [...chosen, { part: 'files', files: find(paths), oneIn: 1 }];
}

/** The globs of Jest that match the specs of the libs and apps to which the files belong. */
export function specsBeside(files: readonly string[]): string[] {
  const folders = files.map((path) => path.split('/').slice(0, 2).join('/'));
  return [...new Set(folders)].map((folder) => `<rootDir>/${folder}/**/*.spec.ts`);
}
