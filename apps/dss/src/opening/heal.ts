import { randomUUID } from 'node:crypto';
import {
  type Checkpoint,
  describeKey,
  formatTableName,
  formatVersion,
  GtidSet,
  hasKey,
  tableKey,
  type TableLayout,
  type TableName,
} from '#change-events';
import { DittoError } from '#kernel';
import {
  adopt,
  type CheckpointTrail,
  type MirroredKeys,
  MOST_KEYS,
  type PastCheckpoint,
  type PendingSwitch,
  planCopy,
  type RequestedReadStore,
  restartCopy,
  type TableRecord,
  type VersionBounds,
} from '#replication';
import { lossDiffers } from '../switching/choose-server.ts';
import { completeDispatchedSet } from './dispatched-set.ts';
import { listEndings, resync, type ResyncOptions, snapshotsOff } from './resync.ts';
import {
  assertNothingLost,
  beginLineage,
  findStartingPoint,
  newestCheckpoint,
  proveLog,
  saveCheckpoint,
  type StartingPointOptions,
} from './starting-point.ts';

export interface HealOptions extends StartingPointOptions, Omit<ResyncOptions, 'askedBy'> {
  readonly trail: CheckpointTrail;
  readonly reads: Pick<RequestedReadStore, 'accept'>;
  /** Null where no sink is a mirror. */
  readonly mirrored: Pick<MirroredKeys, 'newestVersion'> | null;
  /** How long the trace of a deleted row is kept in the mirror at least. */
  readonly tombstonesMs: number;
  /**
   * By `tableKey`: keys (`encodeKeyValues`) that a sink has and the mirror may not have, since they were given above a
   * version; null where any may be.
   */
  readonly listUnmirrored: (
    versions: VersionBounds,
    layouts: readonly TableLayout[],
  ) => Promise<ReadonlyMap<string, readonly string[] | null>>;
  /** `lostUuid`: of the server that had what was given up. */
  readonly onHealed: (healing: Healing, lostUuid: string) => void;
}

/** What was given up, and what is read again because of that. */
export interface Healing {
  readonly gtids: string;
  /** Tables of which the rows that may have been changed are read again. */
  readonly rowsOf: readonly string[];
  /** Tables that are read again as a whole. */
  readonly whole: readonly string[];
  /** Whether everything starts again instead, since no sink can tell what was changed. */
  readonly isResync: boolean;
}

/** The clocks of the servers that delete rows and sweep their traces. */
const CLOCK_MARGIN_MS = 60_000;

/**
 * Where a source continues on a server that lacks transactions which were given to the sinks and are lost for good. All that
 * they may have changed lies above a checkpoint that the server contains: those rows are read again, rows that are gone
 * end, and the new lineage outranks what was lost. That is durable, in the records of the tables and as requested reads,
 * before a checkpoint of the lineage is, so a process that ends at any step leaves either the loss as it was or the work
 * that is to be done. A source without a mirror is resynced: nothing shows what its topics have of a row.
 */
export async function heal(options: HealOptions, loss: PendingSwitch): Promise<Checkpoint> {
  const { grant, current, memories, resyncs, signal, logger } = options;
  const { source } = grant;
  const known = await newestCheckpoint(options);
  if (known === null) return findStartingPoint(options);
  await assertNothingLost(options, known);
  const dispatched = GtidSet.parse(await completeDispatchedSet(known, memories, signal)).union(
    GtidSet.parse(known.position.gtidSet),
  );
  const executed = GtidSet.parse(current.gtidSet);
  const lost = dispatched.subtract(executed);
  if (lost.isEmpty) {
    // else the server has it by now; a process may have ended between giving it up and saying so
    const isGivenUp = !dispatched.contains(GtidSet.parse(loss.givesUp));
    if (isGivenUp && (await resyncs.pendingFor(source)) !== null) await resyncs.finish(grant);
    else await resyncs.withdraw(grant);
    const start = await findStartingPoint(options);
    if (isGivenUp) options.onHealed(await describeHealed(options, loss.givesUp), await findLostServer(options, known));
    return start;
  }
  if (loss.askedBy !== null && !GtidSet.parse(loss.givesUp).contains(lost)) {
    // the status names all of it from now on
    const savedAtMs = Math.max(Date.now(), known.savedAtMs + 1);
    await saveCheckpoint(options, { ...known, dispatchedSet: dispatched.toString(), savedAtMs });
    throw lossDiffers(loss.to, lost.toString(), loss.givesUp);
  }
  if (!options.copiesRows) throw snapshotsOff(source);
  const gtids = lost.toString();
  const lostUuid = known.position.serverUuid;
  logger.warn('transactions that were given to the sinks are lost, and given up', { source, gtids, to: loss.to });
  const base = await findBase(options, executed);
  const acceptedBy = await options.acceptances.acceptedBy(source);
  const left = withoutLost(known, dispatched, lost, base);
  if (isResynced(options, lost)) {
    // nothing need be there for a resync: only a person may say of any server that it is the right one
    if (loss.askedBy === null) await proveLeft(options, left, acceptedBy);
    await resyncs.request(grant, null);
    const start = await resync({ ...options, askedBy: loss.askedBy ?? 'dss' });
    options.onHealed({ gtids, rowsOf: [], whole: [], isResync: true }, lostUuid);
    return start;
  }
  await resyncs.withdraw(grant);
  options.assertReachable(left);
  const proven = await proveLeft(options, left, acceptedBy);
  const start = await beginLineage(options, proven, {
    moved: true,
    reason: `lost and given up: ${gtids}`,
    prepare: async (lineage) => {
      const tables = await findTables(
        { ...options, mirrored: options.mirrored as HealOptions['mirrored'] & object },
        {
          known,
          base,
          lineage,
        },
      );
      await options.endTables(listEndings({ source, lineage, current, layouts: tables.ended }));
      for (const { table, keys } of tables.keys) await acceptReads(options, loss, gtids, table, keys);
      if (tables.records.length > 0) await options.tableStore.save(grant, tables.records);
      const { rowsOf, whole } = tables;
      logger.info('rows that lost transactions may have changed are read again', { source, lineage, rowsOf, whole });
      options.onHealed({ gtids, rowsOf, whole, isResync: false }, lostUuid);
    },
  });
  if (acceptedBy !== null) await options.acceptances.finish(grant);
  return start;
}

/** Without a mirror nothing shows what a loss has changed; numbers of MariaDB say too little. */
function isResynced({ mirrored }: HealOptions, lost: GtidSet): boolean {
  return mirrored === null || lost.domains.size > 0;
}

/** The server before the lineage in which the loss was given up; the one of now where its checkpoints name none. */
async function findLostServer({ grant, trail }: HealOptions, known: Checkpoint): Promise<string> {
  const before = (await trail.list(grant.source)).find(({ lineage }) => lineage < known.lineage);
  return before?.lastCovered?.serverUuid ?? known.position.serverUuid;
}

/** What is read again of a loss that another process has given up, as far as it is not done yet. */
async function describeHealed(options: HealOptions, gtids: string): Promise<Healing> {
  const isResync = isResynced(options, GtidSet.parse(gtids));
  const records = isResync ? [] : await options.tableStore.load(options.grant.source);
  const namesOf = (state: TableRecord['copy']['state']): readonly string[] =>
    records.filter(({ copy }) => copy.state === state).map(formatTableName);
  return { gtids, rowsOf: namesOf('ending'), whole: namesOf('pending'), isResync };
}

/** The newest checkpoint of the past that the server contains, if possible one that proves the log; null when none is known. */
async function findBase({ grant, trail }: HealOptions, executed: GtidSet): Promise<PastCheckpoint | null> {
  const past = (await trail.list(grant.source)).filter(
    ({ version, gtidSet }) => version !== '' && executed.contains(GtidSet.parse(gtidSet)),
  );
  return past.find(({ lastCovered }) => lastCovered !== null) ?? past[0] ?? null;
}

/**
 * The checkpoint as if the lost transactions had never been, with what is left to prove the log by. Where it covered lost
 * ones the server may have given the GTIDs before them again, and may have an XA PREPARE without its outcome: then all
 * after the checkpoint of the past is repeated.
 */
function withoutLost(known: Checkpoint, dispatched: GtidSet, lost: GtidSet, base: PastCheckpoint | null): Checkpoint {
  const keep = (logged: Checkpoint['lastCovered']): Checkpoint['lastCovered'] =>
    logged === null || lost.containsGtid(logged.gtid) ? null : logged;
  const covered = GtidSet.parse(known.position.gtidSet);
  const rest = {
    ...known,
    dispatchedSet: dispatched.subtract(lost).toString(),
    lastDispatched: keep(known.lastDispatched),
  };
  if (base !== null && !covered.intersect(lost).isEmpty)
    return { ...rest, position: { ...known.position, gtidSet: base.gtidSet }, lastCovered: keep(base.lastCovered) };
  const position = { ...known.position, gtidSet: covered.subtract(lost).toString() };
  return { ...rest, position, lastCovered: keep(known.lastCovered) ?? keep(base?.lastCovered ?? null) };
}

/** As `proveLog`; there must be something to prove the log by. */
async function proveLeft(options: HealOptions, left: Checkpoint, acceptedBy: string | null): Promise<Checkpoint> {
  const { serverUuid } = options.current;
  if (left.lastCovered === null && left.lastDispatched === null && acceptedBy === null)
    throw new DittoError(
      'DITTO_SOURCE_LOG_UNPROVEN',
      `no transaction is known that server ${serverUuid} must hold: it can't be proven that its GTIDs mean the same transactions`,
      {
        remedy: `Where you are sure that it is of the same cluster: npm run ditto -- accept-log --source ${left.source}, then accept-loss again. Otherwise resync the source.`,
        context: { serverUuid },
      },
    );
  return proveLog(options, left, acceptedBy);
}

interface HealedTables extends Pick<Healing, 'rowsOf' | 'whole'> {
  readonly records: readonly TableRecord[];
  /** Their rows are stored under another key than the table has. */
  readonly ended: readonly TableLayout[];
  readonly keys: readonly { readonly table: TableName; readonly keys: readonly string[] }[];
}

/** What is to be read again of each table that a lost transaction may have changed. */
async function findTables(
  options: HealOptions & { readonly mirrored: Pick<MirroredKeys, 'newestVersion'> },
  {
    known,
    base,
    lineage,
  }: { readonly known: Checkpoint; readonly base: PastCheckpoint | null; readonly lineage: number },
): Promise<HealedTables> {
  const { grant, tableStore, includes, tombstonesMs, mirrored } = options;
  const isRecent = base !== null && Date.now() - base.savedAtMs < tombstonesMs - CLOCK_MARGIN_MS;
  const above = isRecent ? base.version : null;
  const below = formatVersion({ lineage, fileNumber: 0, offset: 0, rowIndex: 0, readSequence: 0 });
  const layouts = new Map(options.tables.map((layout) => [tableKey(layout), layout]));
  // without a checkpoint of the past the tables are read as a whole anyway
  const versions = { above: known.version, downTo: lowerOf(known.version, above) ?? known.version };
  const unmirrored = await options.listUnmirrored(versions, options.tables.filter(hasKey));
  const stored = (await tableStore.load(grant.source)).filter(
    ({ database, table, copy }) => includes(database, table) && copy.state !== 'none',
  );
  const found = {
    records: [] as TableRecord[],
    ended: [] as TableLayout[],
    rowsOf: [] as string[],
    whole: [] as string[],
  };
  const keys: HealedTables['keys'][number][] = [];
  for (const record of stored) {
    const layout = layouts.get(tableKey(record));
    const name = formatTableName(record);
    const published = unmirrored.get(tableKey(record));
    if (published !== undefined && published !== null && published.length > 0)
      keys.push({ table: { database: record.database, table: record.table }, keys: published });
    const isTouched = above === null || (await mirrored.newestVersion(record, lineage - 1)) > above;
    const healed = healTable(record, layout, isTouched || published === null, {
      above: published === null ? null : above,
      below,
    });
    if (healed === null) {
      if (published?.length) found.rowsOf.push(name);
      continue;
    }
    found.records.push(healed);
    if (healed.copy.state === 'ending') found.rowsOf.push(name);
    else found.whole.push(name);
    if (layout !== undefined && record.adopted !== null && record.adopted.key !== describeKey(layout))
      found.ended.push(layout);
  }
  return { ...found, keys };
}

/** Null where it stays as it is. */
function healTable(
  record: TableRecord,
  layout: TableLayout | undefined,
  isTouched: boolean,
  { above, below }: { readonly above: string | null; readonly below: string },
): TableRecord | null {
  const { adopted, copy, estimatedRows } = record;
  // a statement that is lost as well has made the table, or ended it
  if (layout === undefined) return adopted === null ? null : restartCopy(record, true);
  const key = describeKey(layout);
  if (adopted !== null && (adopted.key !== key || adopted.layout?.fingerprint !== layout.fingerprint))
    return adopt(restartCopy(record, true), { key, since: '', layout: { ...layout } });
  if (!isTouched || !hasKey(layout)) return null;
  const floor = copy.state === 'ending' ? lowerOf(copy.above, above) : copy.state === 'done' ? above : null;
  if (floor === null || adopted === null) return restartCopy(record, true);
  const rowsRead = 'rowsRead' in copy ? copy.rowsRead : 0;
  const again = copy.state === 'ending' && copy.again;
  return planCopy(record, estimatedRows, { state: 'ending', rowsRead, goneBelow: below, above: floor, again });
}

/** Null where one of them is not known. */
function lowerOf(one: string | undefined, other: string | null): string | null {
  if (one === undefined || other === null) return null;
  return one < other ? one : other;
}

async function acceptReads(
  { grant, reads }: HealOptions,
  { askedBy }: PendingSwitch,
  gtids: string,
  table: TableName,
  keys: readonly string[],
): Promise<void> {
  for (let at = 0; at < keys.length; at += MOST_KEYS)
    await reads.accept({
      ...{ id: randomUUID(), source: grant.source, database: table.database, table: table.table },
      scope: { kind: 'keys', keys: keys.slice(at, at + MOST_KEYS) },
      reason: `lost and given up: ${gtids}`,
      actor: askedBy ?? 'dss',
      acceptedAtMs: Date.now(),
    });
}
