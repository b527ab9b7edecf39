/** An entry of `GET /audit`. */
export interface AuditView {
  readonly atMs: number;
  readonly lastAtMs: number;
  readonly repeats: number;
  readonly actor: string;
  readonly action: string;
  readonly source: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** For people: a line for each entry, the newest first. */
export function renderAudit(body: string): string {
  const { entries, next } = JSON.parse(body) as {
    readonly entries: readonly AuditView[];
    readonly next: string | null;
  };
  const rows = entries.map(({ lastAtMs, actor, action, source }) => [showTime(lastAtMs), actor, action, source]);
  const widths = [0, 1, 2, 3].map((column) => Math.max(0, ...rows.map((row) => (row[column] ?? '').length)));
  const lines = entries.map(({ atMs, repeats, details }, i) => {
    const cells = rows[i]?.map((cell, column) => cell.padEnd(widths[column] ?? 0)) ?? [];
    const often = repeats > 1 ? [`(${repeats} times since ${showTime(atMs)})`] : [];
    return [...cells, JSON.stringify(details), ...often].join('  ');
  });
  if (entries.length === 0) return 'There is no such entry.';
  return [...lines, ...(next === null ? [] : [`There are older ones: --after ${next}`])].join('\n');
}

function showTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}
