import {
  binlogFileNumber,
  type Checkpoint,
  formatVersion,
  lineageOf,
  type LoggedTransaction,
  type StoredCheckpoint,
  tableKey,
  type TableLayout,
  type TableName,
  versionPrefix,
} from '#change-events';
import { abortable, DittoError, toDittoError } from '#kernel';
import { type LogEnd } from '#mysql';
import {
  assumeLayout,
  type CheckpointStore,
  isCopied,
  type LineageStore,
  type RowReader,
  type TableRecord,
} from '#replication';
import { type RecordedCheckpoint, RecordedStream, type RecordedTable } from '#verification';

export interface RecordedSourceOptions {
  readonly source: string;
  /** Checkpoints as DCS knows them: the newest of Redis and the state database. */
  readonly dcs: Pick<CheckpointStore, 'load'>;
  /** The state database's copy, which is a second or so behind; asked while DCS does not answer. */
  readonly state: Pick<CheckpointStore, 'load'>;
  readonly tables: { readonly find: (source: string, table: TableName) => Promise<TableRecord | null> };
  readonly lineages: Pick<LineageStore, 'current'>;
  /** Of the source, as it is now. */
  readonly catalogue: Pick<RowReader, 'readLayout'>;
  /** Of the server whose log is streamed. */
  readonly log: { readonly read: (signal: AbortSignal) => Promise<LogEnd | null> };
  /** UUID of the server that is asked; null where the source has only one endpoint. */
  readonly serverUuid?: string | null;
  /** The source is streamed from another server by now; called before a call rejects because of that. */
  readonly onMoved?: () => void;
}

const HIGHEST = 0xffffffff;
/** Tables whose layouts are kept. */
const MOST_LAYOUTS = 200;
/** Everything of a lineage has a lower or equal version. */
const HIGHEST_PLACE = { fileNumber: HIGHEST, offset: 0xffffffffffff };

/**
 * What DSS has recorded of one source, as verification asks for it. A checkpoint that is a little old says nothing wrong:
 * all that it covers is confirmed. Tables come from the state database, which knows a generation before any checkpoint
 * passes what raised it.
 */
export class RecordedSource extends RecordedStream {
  readonly #options: RecordedSourceOptions;
  /** By table, the one that was asked for last at the end. */
  readonly #layouts = new Map<string, TableLayout>();

  constructor(options: RecordedSourceOptions) {
    super();
    this.#options = options;
  }

  async readCheckpoint(signal: AbortSignal): Promise<RecordedCheckpoint> {
    const { position, version, undecidedSet } = await this.load(signal);
    return { gtidSet: position.gtidSet, version, undecidedSet };
  }

  /**
   * A table that is complete and has no adopted layout: no sink was given a row of it, and DSS adopts one, under another
   * generation, before any is. While the generation stays, source and sinks have no row of it that the checkpoint covers:
   * it is judged by the layout that it has now, whichever that is. Without one it is not there, or was not seen yet.
   */
  async readTable(table: TableName, signal: AbortSignal): Promise<RecordedTable | null> {
    const { source, tables, catalogue } = this.#options;
    const record = await abortable(tables.find(source, table), signal);
    if (record === null) return null;
    const { generation, adopted } = record;
    const copied = isCopied(record);
    if (copied !== 'yes' && !adopted?.layout)
      return { generation, copied, layout: assumeLayout(table.database, table.table) };
    const isNew = adopted === null;
    const layout = isNew ? await abortable(catalogue.readLayout(table, signal), signal) : adopted.layout;
    return layout && { generation, copied, layout: this.#keepLayout(table, layout) };
  }

  /**
   * The end of the log bounds versions only where it is the end of the log that they were made of. Where that is not
   * certain (the source is moving to another server, the log was reset), every place of the newest lineage is possible.
   */
  async readHighestVersion(signal: AbortSignal): Promise<string> {
    const { source, lineages, log } = this.#options;
    const checkpoint = await this.load(signal);
    const lineage = Math.max(checkpoint.lineage, await abortable(lineages.current(source), signal));
    // after the checkpoint, whose places it must contain
    const end = await log.read(signal);
    const isOfLineage = end !== null && lineage === checkpoint.lineage && continues(end, checkpoint);
    const { fileNumber, offset } = isOfLineage
      ? { fileNumber: binlogFileNumber(end.file), offset: end.offset }
      : HIGHEST_PLACE;
    return formatVersion({ lineage, fileNumber, offset, rowIndex: HIGHEST, readSequence: HIGHEST });
  }

  #keepLayout(table: TableName, layout: TableLayout): TableLayout {
    const name = tableKey(table);
    const known = this.#layouts.get(name);
    const kept = known?.fingerprint === layout.fingerprint ? known : layout;
    this.#layouts.delete(name);
    this.#layouts.set(name, kept);
    const [oldest] = this.#layouts.keys();
    if (this.#layouts.size > MOST_LAYOUTS && oldest !== undefined) this.#layouts.delete(oldest);
    return kept;
  }

  /** Rejects with `DITTO_OFFSET_UNKNOWN` for a source that never ran. */
  async load(signal: AbortSignal): Promise<Checkpoint> {
    return (await this.loadStored(signal)).checkpoint;
  }

  /** As `load`, with the fencing token of its writer. */
  async loadStored(signal: AbortSignal): Promise<StoredCheckpoint> {
    const { source } = this.#options;
    const stored = await abortable(this.#loadNewest(), signal);
    if (stored !== null) return { ...stored, checkpoint: this.#ofThisServer(stored.checkpoint) };
    throw new DittoError('DITTO_OFFSET_UNKNOWN', `No offset of source ${source} is known`, {
      remedy: 'Check the name; a source has an offset once its pipeline has started.',
      context: { source },
    });
  }

  /** What this server has says nothing of a source that is streamed from another one. */
  #ofThisServer(checkpoint: Checkpoint): Checkpoint {
    const { source, serverUuid = null, onMoved } = this.#options;
    const now = checkpoint.position.serverUuid;
    if (serverUuid === null || now === serverUuid) return checkpoint;
    onMoved?.();
    throw new DittoError('DITTO_VERIFICATION_SERVER_MOVED', `${source} is streamed from the server ${now} by now`, {
      retriable: true,
      remedy: 'Nothing to do: what was under way is done again on that server.',
      context: { source, before: serverUuid, now },
    });
  }

  async #loadNewest(): Promise<StoredCheckpoint | null> {
    const { source, dcs, state } = this.#options;
    try {
      return await dcs.load(source);
    } catch (error) {
      if (!toDittoError(error).retriable) throw error;
      return state.load(source);
    }
  }
}

/** Whether the log that ends there is, as far as its places tell, the one of the checkpoint. */
function continues(end: LogEnd, { lineage, position, version, lastDispatched }: Checkpoint): boolean {
  if (end.serverUuid !== position.serverUuid) return false;
  const atEnd = versionPrefix(lineage, end.file, end.offset);
  const isBefore = version === '' || lineageOf(version) !== lineage || version.slice(0, atEnd.length) < atEnd;
  return isBefore && (lastDispatched === null || prefixOf(lastDispatched, lineage) < atEnd);
}

function prefixOf({ lineage, file, offset }: LoggedTransaction, current: number): string {
  return lineage === current ? versionPrefix(lineage, file, offset) : '';
}
