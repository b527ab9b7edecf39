/** How much is done, for people; empty while it is not known of how much. */
export function drawBar(done: number, of: number): string {
  const share = of === 0 ? 0 : Math.min(1, done / of);
  return `[${'#'.repeat(Math.round(share * 20)).padEnd(20, '.')}]`;
}

/** Columns as wide as what is in them; those of `numbers` are aligned to the right. */
export function drawTable(
  headings: readonly string[],
  lines: readonly (readonly string[])[],
  numbers: readonly number[],
): string {
  const widths = headings.map((heading, i) => Math.max(heading.length, ...lines.map((line) => line[i]?.length ?? 0)));
  const fill = (cell: string, i: number): string =>
    numbers.includes(i) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0);
  return [headings, ...lines].map((line) => line.map(fill).join('  ').trimEnd()).join('\n');
}
