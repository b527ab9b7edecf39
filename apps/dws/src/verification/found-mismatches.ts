import { type ForeignRow, type NewMismatch, type RunChunk } from '#verification';

/** What is recorded of something that is stored under no key of its table. */
export function describeForeign(
  source: string,
  { runId, database, table, sink }: RunChunk,
  { id, shown, fingerprint }: ForeignRow,
): NewMismatch {
  const of = { source, database, table, sink, runId, seenAtMs: Date.now() };
  const damage = 'it is stored under what is not a key of the table';
  const details = { way: 'first', differences: [], damage, storedVersion: null, fingerprint, shown } as const;
  return { ...of, key: id, isKey: false, kind: 'damaged', details };
}
