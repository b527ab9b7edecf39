/** An entry of a Redis stream; `id` is `<milliseconds>-<number>`. */
export interface StreamEntry {
  readonly id: string;
  readonly key: string;
  readonly entry: string;
}

export interface MergeOptions {
  /** Newest first; no entry of a table is newer than its `newestMs`. */
  readonly tables: readonly { readonly table: string; readonly newestMs: number }[];
  readonly limit: number;
  /** Entries that are read before the search is given up. */
  readonly mostRead: number;
  readonly matches: (key: string) => boolean;
  /** The next entries of a table from `end` on (`+`, or `(` and an id), newest first; none when there are no more. */
  readonly readEvents: (table: string, end: string) => Promise<readonly StreamEntry[]>;
}

interface Cursor {
  readonly table: string;
  page: readonly StreamEntry[];
  at: number;
}

/** The newest entries of all tables. A table is read from only once nothing newer is left in the others. */
export async function mergeNewest({ tables, limit, mostRead, matches, readEvents }: MergeOptions): Promise<{
  readonly events: readonly (StreamEntry & { readonly table: string })[];
  readonly isCutShort: boolean;
}> {
  const events: (StreamEntry & { readonly table: string })[] = [];
  const open = new Set<Cursor>();
  let opened = 0;
  let read = 0;

  const turnPage = async (cursor: Cursor, end: string): Promise<void> => {
    cursor.page = await readEvents(cursor.table, end);
    cursor.at = 0;
    read += cursor.page.length + 1;
    if (cursor.page.length === 0) open.delete(cursor);
    else open.add(cursor);
  };

  while (events.length < limit) {
    if (read >= mostRead) return { events, isCutShort: true };
    const newest = findNewest(open);
    const next = tables[opened];
    if (next !== undefined && (newest === null || next.newestMs >= timeOf(newest))) {
      opened++;
      await turnPage({ table: next.table, page: [], at: 0 }, '+');
      continue;
    }
    const entry = newest?.page[newest.at];
    if (newest === null || entry === undefined) break;
    if (matches(entry.key)) events.push({ ...entry, table: newest.table });
    if (++newest.at === newest.page.length) await turnPage(newest, `(${entry.id}`);
  }
  return { events, isCutShort: false };
}

function findNewest(cursors: Iterable<Cursor>): Cursor | null {
  let newest: Cursor | null = null;
  for (const cursor of cursors) if (newest === null || timeOf(cursor) > timeOf(newest)) newest = cursor;
  return newest;
}

function timeOf({ page, at }: Cursor): number {
  return Number.parseInt(page[at]?.id ?? '0', 10);
}
