import { changeVersion, type Row, type RowChange } from '#change-events';
import { type Acknowledgement, type LaneEntry } from '#replication';
import { type BsonWriter } from './bson-writer.ts';
import { type GuardedWrite } from './guarded-write.ts';
import { type KeyIdentity } from './mirror-document.ts';
import { type MirrorCollection, type MirrorTable } from './mirror-tables.ts';

/** A change of the key of a row is written in two entries; it is confirmed when both are. */
export interface KeyChange {
  unconfirmed: number;
}

/** What one change does to one document. */
export interface MirrorEntry extends LaneEntry {
  readonly table: MirrorTable;
  readonly identity: KeyIdentity;
  readonly change: RowChange;
  /** The image whose key is written; its whole content too unless `isTombstone`. */
  readonly row: Row;
  readonly isTombstone: boolean;
  readonly isReplaying: boolean;
  readonly acknowledgement: Acknowledgement;
  readonly keyChange: KeyChange | null;
}

/** The last of a batch's entries for one document. */
export interface CollapsedEntry {
  entry: MirrorEntry;
  version: string;
  /** The first of them created the row. */
  readonly isCreated: boolean;
}

/**
 * The entries with the highest version of each document, by collection. The version decides, not the place in the
 * batch; of equal versions the later entry stays.
 */
export function collapseEntries(entries: readonly MirrorEntry[]): Map<MirrorCollection, CollapsedEntry[]> {
  const documents = new Map<MirrorCollection, Map<KeyIdentity, CollapsedEntry>>();
  for (const entry of entries) {
    const { collection } = entry.table;
    let byKey = documents.get(collection);
    if (byKey === undefined) documents.set(collection, (byKey = new Map<KeyIdentity, CollapsedEntry>()));
    const version = changeVersion(entry.change);
    const known = byKey.get(entry.identity);
    if (known === undefined) byKey.set(entry.identity, { entry, version, isCreated: createsRow(entry) });
    else if (version >= known.version) {
      known.entry = entry;
      known.version = version;
    }
  }
  const collapsed = new Map<MirrorCollection, CollapsedEntry[]>();
  for (const [collection, byKey] of documents) collapsed.set(collection, [...byKey.values()].sort(compareKeys));
  return collapsed;
}

export function encodeWrite(
  writer: BsonWriter,
  { entry, version, isCreated }: CollapsedEntry,
  insertFirst: boolean,
  nowMs: number,
): GuardedWrite {
  const { encoder } = entry.table;
  const document = entry.isTombstone
    ? encoder.tombstone(writer, entry.row, entry.change, version, nowMs)
    : encoder.upsert(writer, entry.row, entry.change, version);
  return { document, isNew: isCreated && insertFirst };
}

function createsRow({ change, isTombstone, keyChange }: MirrorEntry): boolean {
  return !isTombstone && (change.op === 'create' || change.op === 'read' || keyChange !== null);
}

/** A total order of the keys of one table, the same in every process; not MongoDB's order of `_id`. */
function compareKeys({ entry: a }: CollapsedEntry, { entry: b }: CollapsedEntry): number {
  return a.identity < b.identity ? -1 : a.identity > b.identity ? 1 : 0;
}
