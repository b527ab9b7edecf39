/** One damage, and what has become of it. */
export interface DamageReport {
  readonly sink: 'mongo' | 'kafka';
  readonly kind: string;
  readonly key: string;
  /** As what it was found; null when it was not. */
  readonly foundAs: string | null;
  /** State of its mismatch; null when it was not found. */
  readonly state: string | null;
  /** Why it was given up; else null. */
  readonly reason: string | null;
}

export interface SelftestReport {
  /** All was found and repaired, and a last verification finds no difference. */
  readonly isGood: boolean;
  readonly damages: readonly DamageReport[];
  /** Kinds for which no row was fit. */
  readonly notTried: readonly string[];
  /** Rows that the last verification found to differ. */
  readonly differencesAtTheEnd: number;
}

/** What DWS says of a mismatch, as far as it is needed. */
export interface FoundMismatch {
  readonly id: string;
  readonly sink: string;
  readonly key: string;
  readonly isKey: boolean;
  readonly kind: string;
  readonly state: string;
  readonly reason: string | null;
  readonly details: { readonly shown: string | null };
}

/** A damage as the saboteur reports it: `key` is the id of the row, or what is shown of what is no key. */
export interface KnownDamage {
  readonly sink: 'mongo' | 'kafka';
  readonly kind: string;
  readonly key: string;
}

export function matchDamage({ sink, kind, key }: KnownDamage, mismatches: readonly FoundMismatch[]): DamageReport {
  const found = mismatches.find(
    (one) => one.sink === sink && (one.isKey ? one.key === `[${key}]` : (one.details.shown ?? one.key).includes(key)),
  );
  return {
    ...{ sink, kind, key, foundAs: found?.kind ?? null },
    ...{ state: found?.state ?? null, reason: found?.state === 'repaired' ? null : (found?.reason ?? null) },
  };
}

export function isRepaired({ state }: DamageReport): boolean {
  return state === 'repaired' || state === 'gone';
}

const HEADINGS = ['sink', 'damage', 'row', 'found as', 'then'];

export function renderSelftest(report: SelftestReport): string[] {
  const lines = report.damages.map(({ sink, kind, key, foundAs, state, reason }) => [
    ...[sink, kind, key, foundAs ?? 'NOT FOUND'],
    `${state ?? ''}${reason === null ? '' : ` (${reason})`}`,
  ]);
  const widths = HEADINGS.map((heading, i) => Math.max(heading.length, ...lines.map((line) => line[i]?.length ?? 0)));
  const table = [HEADINGS, ...lines].map((line) =>
    line
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  const { damages, notTried, differencesAtTheEnd, isGood } = report;
  const found = damages.filter(({ foundAs }) => foundAs !== null).length;
  return [
    ...table,
    '',
    `${found} of ${damages.length} damages were found, ${damages.filter(isRepaired).length} repaired; ` +
      `${differencesAtTheEnd === 0 ? 'no difference is left' : `${differencesAtTheEnd} rows still differ`}.`,
    ...(notTried.length === 0 ? [] : [`Not tried, no row was fit: ${notTried.join(', ')}.`]),
    isGood ? 'The self-test has passed.' : 'The self-test has FAILED.',
  ];
}
