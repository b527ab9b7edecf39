import { type RowSelection, type TableLayout } from '#change-events';
import { abortable } from '#kernel';
import { type MirroredKeys } from '../ports/mirrored-keys.ts';
import { type ReadCounts, type ReadPlace } from '../ports/requested-read-store.ts';
import { reading } from '../tables/table-failures.ts';
import { KeyLookUps } from '../windows/key-look-ups.ts';
import { type TableReadSettings } from '../windows/windowed-read.ts';
import { TableCopy } from './table-copy.ts';

export interface SelectedReadOptions {
  readonly layout: TableLayout;
  readonly selection: RowSelection;
  readonly settings: TableReadSettings;
  /** Null: nothing shows which rows there were. */
  readonly mirror: Pick<MirroredKeys, 'select'> | null;
  /** Resolves when all that was given to the sinks until now is confirmed. */
  readonly waitUntilConfirmed: () => Promise<void>;
  /** Most rows of one read where a read of the table has failed before; else null. */
  readonly limit: number | null;
  readonly place: ReadPlace | null;
  /** What was read and confirmed since the last call; false when the read has ended meanwhile. */
  readonly record: (place: ReadPlace, found: ReadCounts) => Promise<boolean>;
}

/** Chunks that may be read, or be being read, and not recorded. */
const CHUNKS_IN_FLIGHT = 2;

/**
 * Reads the rows of a selection, then looks up what the mirror has of it and the source has not: each becomes a delete.
 * Where the mirror can tell exactly what belongs to a filter, also rows that do not fulfil it any more are looked up.
 */
export class SelectedRead {
  readonly #options: SelectedReadOptions;
  #isWanted = true;

  constructor(options: SelectedReadOptions) {
    this.#options = options;
  }

  /** Resolves with false when the read has ended meanwhile; rejects as `TableCopy`. */
  async run(signal: AbortSignal): Promise<boolean> {
    const { place } = this.#options;
    if (place?.phase !== 'gone') {
      await this.#readRows(place?.after ?? null, signal);
      await this.#record({ phase: 'gone', after: null }, { read: 0, emitted: 0, gone: 0 });
    }
    if (this.#isWanted) await this.#endGone(place?.phase === 'gone' ? place.after : null, signal);
    return this.#isWanted;
  }

  async #readRows(after: string | null, signal: AbortSignal): Promise<void> {
    const { layout, selection, settings, limit } = this.#options;
    await new TableCopy({
      ...{ layout, selection, settings, limit, after },
      isWanted: () => this.#isWanted,
      mostChunks: () => CHUNKS_IN_FLIGHT,
      record: async (lastKey, read, emitted) => {
        if (lastKey !== null) await this.#record({ phase: 'rows', after: lastKey }, { read, emitted, gone: 0 });
      },
    }).run(signal);
  }

  async #endGone(after: string | null, signal: AbortSignal): Promise<void> {
    const { layout, selection, settings, mirror, limit, waitUntilConfirmed } = this.#options;
    if (mirror === null) return;
    const lookUps = new KeyLookUps({ layout, limit, settings, isWanted: () => this.#isWanted });
    // a document that is still on its way to the mirror would be listed by nobody
    await abortable(waitUntilConfirmed(), signal);
    const request = { layout, selection, after, limit: lookUps.limit };
    const pages = mirror.select(request)[Symbol.asyncIterator]();
    try {
      while (this.#isWanted) {
        const page = await reading(pages.next());
        if (page.done === true) return;
        const { keys, isExact } = page.value;
        const isOf = isExact && selection.kind === 'filter' ? { selection } : {};
        const absent = await reading(settings.reader.findAbsent({ layout, keys, ...isOf, signal }));
        const found = await lookUps.lookUp(absent, signal);
        if (found !== null) await this.#record({ phase: 'gone', after: page.value.after }, found);
      }
    } finally {
      await pages.return?.();
    }
  }

  async #record(place: ReadPlace, found: ReadCounts): Promise<void> {
    if (this.#isWanted) this.#isWanted = await this.#options.record(place, found);
  }
}
