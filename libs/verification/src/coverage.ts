import { type TableName } from '#change-events';

export const COVERAGE_WINDOWS = { hour: 3_600_000, day: 86_400_000, week: 604_800_000 } as const;
export type CoverageWindow = keyof typeof COVERAGE_WINDOWS;
export type CoverageShares = Readonly<Record<CoverageWindow, number>>;

/** How much of a table was verified in a sink, whatever was found. */
export interface TableCoverage extends TableName {
  readonly sink: string;
  /** As the last whole pass has counted them; estimated before the first has ended. */
  readonly rows: number;
  /** Share of the rows, 0 to 1, that were compared within the last hour, day, week. Those that were unsettled do not count. */
  readonly shares: CoverageShares;
  /** No row was compared last before this moment, except new ones; null when no pass has ended yet. */
  readonly oldestMs: number | null;
}

/** The rows of one pass over a table. */
export interface CoveragePass {
  readonly rows: number;
  /** How many of them were compared within each window. */
  readonly verified: CoverageShares;
  readonly startedAtMs: number;
  readonly endedAtMs: number | null;
  /** When its first chunk of rows ended. */
  readonly oldestMs: number | null;
}

/**
 * What the last whole pass and those under way have covered together. A pass goes by the order of the key. So one that
 * began after the last has covered rows from the beginning, and the last one, within a window, rows up to the end: these
 * add up to at most all. Others may have covered the same rows, and only the larger part counts.
 */
export function combinePasses(
  whole: CoveragePass | null,
  underWay: readonly CoveragePass[],
  nowMs: number,
): Pick<TableCoverage, 'rows' | 'shares' | 'oldestMs'> {
  const rows = whole?.rows ?? Math.max(0, ...underWay.map((pass) => pass.rows));
  const shareOf = (window: CoverageWindow): number => {
    const last = whole?.verified[window] ?? 0;
    if (rows === 0) return (whole?.oldestMs ?? -Infinity) >= nowMs - COVERAGE_WINDOWS[window] ? 1 : 0;
    const covered = underWay.map(({ verified, startedAtMs }) =>
      whole?.endedAtMs != null && startedAtMs >= whole.endedAtMs
        ? last + verified[window]
        : Math.max(last, verified[window]),
    );
    return Math.min(1, Math.max(last, ...covered) / rows);
  };
  const shares = { hour: shareOf('hour'), day: shareOf('day'), week: shareOf('week') };
  return { rows, shares, oldestMs: whole?.oldestMs ?? null };
}

/** Of several tables, by their rows; an empty one weighs as one row. 0 when there is none. */
export function averageShare(tables: readonly TableCoverage[], window: CoverageWindow): number {
  const weightOf = ({ rows }: TableCoverage): number => Math.max(1, rows);
  const total = tables.reduce((sum, table) => sum + weightOf(table), 0);
  const verified = tables.reduce((sum, table) => sum + weightOf(table) * table.shares[window], 0);
  return total === 0 ? 0 : verified / total;
}
