import { encodeKeyValues, type TableLayout } from '#change-events';
import { type NewMismatch, type Way } from './ports/mismatch-store.ts';
import { type Mismatch } from './row-verifier.ts';

/** What is kept of a mismatch. */
export function toNewMismatch(
  { key, kind, differences, damage, stored }: Mismatch,
  where: {
    readonly source: string;
    readonly sink: string;
    readonly layout: TableLayout;
    readonly way: Way;
    readonly runId: string | null;
    readonly seenAtMs: number;
  },
): NewMismatch {
  const { source, sink, layout, way, runId, seenAtMs } = where;
  const { database, table } = layout;
  return {
    ...{ source, database, table, sink, key: encodeKeyValues(layout, key), isKey: true, kind },
    details: {
      way,
      differences,
      damage,
      storedVersion: stored?.version ?? null,
      fingerprint: stored?.fingerprint ?? null,
      shown: null,
    },
    ...{ runId, seenAtMs },
  };
}
