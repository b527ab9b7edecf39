import {
  type Checkpoint,
  compareBinlogFiles,
  encodeKeyValues,
  isSameLayout,
  type Row,
  type TableLayout,
} from '#change-events';
import { isAbort, type Logger, toDittoError } from '#kernel';
import { type KeyLog, type KeyLogRequest } from '#mysql';
import { isLogged, type NamedChange, NamedChanges } from '#verification';
import { findLogPlace, versionOf } from './log-place.ts';

export interface LoggedChangesOptions {
  readonly source: string;
  /** Of the server that is streamed. */
  readonly log: Pick<KeyLog, 'read'>;
  /** Names that server, its files, and the lineage of their places. */
  readonly readCheckpoint: (signal: AbortSignal) => Promise<Checkpoint>;
  readonly logger: Logger;
}

/** Changes of rows that never rest are seconds old. */
const MOST_LOG_BYTES = 64 * 1024 * 1024;
const MOST_LOG_MS = 5000;

/** What changes have left of rows, from the log of the source: read once for all of them, over a dump of its own. */
export class LoggedChanges extends NamedChanges {
  readonly #options: LoggedChangesOptions;

  constructor(options: LoggedChangesOptions) {
    super();
    this.#options = options;
  }

  override async read(
    layout: TableLayout,
    changes: readonly NamedChange[],
    signal: AbortSignal,
  ): Promise<readonly (Row | null | undefined)[]> {
    const found = new Map<string, Row | null>();
    try {
      await this.#search(layout, changes, found, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (isAbort(error)) throw error;
      const { source, logger } = this.#options;
      const { database, table } = layout;
      const { code, message } = toDittoError(error);
      logger.warn('the log could not be read for rows that never rest; they stay unsettled', {
        ...{ source, database, table, code, error: message },
      });
    }
    return changes.map(({ key, version }) => found.get(`${version} ${encodeKeyValues(layout, key)}`));
  }

  async #search(
    layout: TableLayout,
    changes: readonly NamedChange[],
    found: Map<string, Row | null>,
    signal: AbortSignal,
  ): Promise<void> {
    const { log, readCheckpoint } = this.#options;
    const checkpoint = await readCheckpoint(signal);
    const wanted = changes.flatMap(({ key, version }) => {
      const place = isLogged(version) ? findLogPlace(version, checkpoint) : '';
      return typeof place === 'string' ? [] : { key, version, place };
    });
    wanted.sort((a, b) => comparePlaces(a.place, b.place));
    const [first, last] = [wanted[0], wanted.at(-1)];
    if (first === undefined || last === undefined) return;
    const versions = new Set(wanted.map(({ version }) => version));
    await log.read({
      ...{ from: first.place, until: last.place, layout, keys: wanted.map(({ key }) => key) },
      ...{ mostBytes: MOST_LOG_BYTES, mostMs: MOST_LOG_MS, signal },
      onChange: (change) => {
        const version = versionOf(change, checkpoint.lineage);
        // rows of two layouts are not comparable
        if (versions.has(version) && isSameLayout(change.layout, layout))
          found.set(`${version} ${change.key}`, change.after);
      },
    });
  }
}

function comparePlaces(a: KeyLogRequest['from'], b: KeyLogRequest['from']): number {
  return compareBinlogFiles(a.file, b.file) || a.offset - b.offset;
}
