import {
  type Checkpoint,
  type Position,
  type TableChange,
  tableKey,
  type TableLayout,
  type TableName,
  versionPrefix,
} from '#change-events';
import { RequestError } from '#platform';
import {
  assumeLayout,
  type LogAcceptanceStore,
  type ResyncStore,
  type TableRecord,
  type TableStore,
} from '#replication';
import { correctNames } from './starting-tables.ts';
import {
  checkpointBehind,
  knownLineages,
  raiseLineage,
  saveCheckpoint,
  type StartingLog,
  type StartingPointStores,
} from './starting-point.ts';

export interface ResyncOptions extends StartingPointStores, Pick<StartingLog, 'current' | 'findLast'> {
  readonly askedBy: string;
  readonly acceptances: LogAcceptanceStore;
  readonly resyncs: ResyncStore;
  readonly tableStore: TableStore;
  /** Layouts of the included tables that exist now. */
  readonly tables: readonly TableLayout[];
  /** Tables that the mirror has documents of, or had; a table may have come and gone without ever being copied. */
  readonly listMirrored: () => Promise<readonly TableName[]>;
  readonly includes: (database: string, table: string) => boolean;
  /** Whether existing rows are copied at all. */
  readonly copiesRows: boolean;
  /** Ends all rows of each table in every sink; resolves when all of it is confirmed. Repeatable. */
  readonly endTables: (changes: readonly TableChange[]) => Promise<void>;
}

/**
 * Starts a source again from the beginning, whatever lies between what its sinks hold and what its server has: new
 * lineage, every row of every included table ended in the sinks, every table to be read again, position after what the
 * server has executed now.
 *
 * The mark of the pending resync is removed last. A process that ends anywhere before that leaves it, and the
 * next owner begins again from the first step, under a lineage of its own: nothing is streamed and no row is read
 * before all steps are done, so nothing can have been built on half of them.
 */
export async function resync(options: ResyncOptions): Promise<Checkpoint> {
  const { grant, current, askedBy, resyncs, tableStore, tables, includes, endTables, logger } = options;
  const { source } = grant;
  if (!options.copiesRows) throw snapshotsOff(source);
  logger.info('resyncing', { source, askedBy, position: current });
  const last = await options.findLast();
  const lineage = await raiseLineage(
    options,
    (await findHighestLineage(options)) + 1,
    `resync, asked for by ${askedBy}`,
  );
  await options.mirror?.raise(lineage);
  const isIncluded = ({ database, table }: TableName): boolean => includes(database, table);
  const known = (await tableStore.load(source)).filter((record) => isIncluded(record) && record.copy.state !== 'none');
  const mirrored = (await options.listMirrored()).filter(isIncluded);
  await resyncs.startOver(grant, listTablesToRead(tables, known));
  const changes = listEndings({ source, lineage, current, layouts: listTablesToEnd(tables, known, mirrored) });
  await endTables(changes);
  const start = await saveCheckpoint(options, checkpointBehind(source, lineage, current, last));
  await options.acceptances.finish(grant);
  await resyncs.finish(grant);
  logger.info('resynced: the stream continues from here, and existing rows are read again', {
    source,
    lineage,
    tables: changes.length,
  });
  return start;
}

/** Also of what only the sinks remember. Checkpoints are not merged: nothing is asked of them, whatever log they are of. */
async function findHighestLineage(options: ResyncOptions): Promise<number> {
  const { grant, state, dcs, memories, signal } = options;
  const copies = [await state.load(grant.source), await dcs.load(grant.source)];
  const known = await knownLineages(options, ...copies.map((copy) => copy?.checkpoint));
  const remembered = await Promise.all(memories.map((memory) => memory.newestLineage(signal)));
  return Math.max(...known, ...remembered);
}

/** Those whose copy is worth nothing now; tables without a record are planned by the snapshot itself. */
function listTablesToRead(tables: readonly TableLayout[], known: readonly TableRecord[]): readonly TableRecord[] {
  const keyed = new Set(tables.filter(({ key }) => key.length > 0).map(tableKey));
  return known.filter((record) => record.copy.state !== 'unavailable' || keyed.has(tableKey(record)));
}

/**
 * All tables that are there, all that ever were copied, and all that are mirrored. One that has lost its key since is
 * ended as what it was: its rows are in the mirror and under keys in its topic.
 */
function listTablesToEnd(
  tables: readonly TableLayout[],
  known: readonly TableRecord[],
  mirrored: readonly TableName[],
): readonly TableLayout[] {
  const layouts = new Map(tables.map((layout) => [tableKey(layout), layout]));
  const copied = known.filter(({ copy }) => copy.state !== 'unavailable');
  for (const table of [...copied, ...correctNames(mirrored, [...tables, ...known])])
    if ((layouts.get(tableKey(table))?.key.length ?? 0) === 0)
      layouts.set(tableKey(table), assumeLayout(table.database, table.table));
  for (const table of known)
    if (!layouts.has(tableKey(table))) layouts.set(tableKey(table), assumeLayout(table.database, table.table));
  return [...layouts.values()];
}

/** Their version is the first of the lineage: every older row ends, nothing of the new lineage does. */
export function listEndings({
  source,
  lineage,
  current,
  layouts,
}: {
  readonly source: string;
  readonly lineage: number;
  readonly current: Position;
  readonly layouts: readonly TableLayout[];
}): readonly TableChange[] {
  const transaction = {
    gtid: null,
    serverId: 0,
    serverUuid: current.serverUuid,
    file: '',
    offset: 0,
    commitMicros: Date.now() * 1000,
    versionPrefix: versionPrefix(lineage, '', 0),
  };
  const id = `${source}/${lineage}/resync`;
  return layouts.map((layout) => ({ op: 'truncate', layout, transaction, rowIndex: 0, id }));
}

/** Ending all rows without reading them again would leave the sinks empty. */
export function snapshotsOff(source: string): RequestError {
  return new RequestError(
    409,
    'DITTO_SOURCE_SNAPSHOTS_OFF',
    `${source} can't be resynced: its snapshots are off, so its rows would not be read again`,
    {
      remedy: `Set sources.${source}.snapshot.mode to windowed and restart DSS; a resync that was asked for continues then.`,
    },
  );
}
