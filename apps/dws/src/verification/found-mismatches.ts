import { encodeKeyValues, type TableLayout } from '#change-events';
import { type ForeignRow, type Mismatch, type NewMismatch, type RunChunk } from '#verification';

/** A mismatch as it is recorded. */
export function describeMismatch(
  source: string,
  { runId, database, table, sink }: RunChunk,
  layout: TableLayout,
  { key, kind, differences, damage, stored }: Mismatch,
): NewMismatch {
  const of = { source, database, table, sink, runId, seenAtMs: Date.now() };
  const storedVersion = stored?.version ?? null;
  const details = { differences, damage, storedVersion, fingerprint: stored?.fingerprint ?? null, shown: null };
  return { ...of, key: encodeKeyValues(layout, key), isKey: true, kind, details };
}

export function describeForeign(
  source: string,
  { runId, database, table, sink }: RunChunk,
  { id, shown, fingerprint }: ForeignRow,
): NewMismatch {
  const of = { source, database, table, sink, runId, seenAtMs: Date.now() };
  const damage = 'it is stored under what is no key of the table';
  const details = { differences: [], damage, storedVersion: null, fingerprint, shown };
  return { ...of, key: id, isKey: false, kind: 'damaged', details };
}
