import { type TableLayout } from './table-layout.ts';

/**
 * Whether two layouts can be of one definition of a table. Their fingerprints may differ although it is one: the log has
 * the labels of ENUM and SET as they are, the catalogue has `?` for each character of more than three bytes.
 */
export function isSameLayout(a: TableLayout, b: TableLayout): boolean {
  return a.fingerprint === b.fingerprint || asCatalogued(a) === asCatalogued(b);
}

function asCatalogued({ fingerprint }: TableLayout): string {
  return fingerprint.replace(/[\u{10000}-\u{10ffff}]/gu, '?');
}
