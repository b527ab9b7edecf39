import { Injectable } from '@nestjs/common';
import {
  type Checkpoint,
  compileKeyEncoder,
  decodeJsonKey,
  encodeKeyValues,
  formatTableName,
  type Row,
  type TableLayout,
  type TableName,
} from '#change-events';
import { type DittoConfig, type SourceConfig } from '#configuration';
import { DcsCheckpointStore, DcsClient } from '#dcs-client';
import { parseJsonExactly, toDittoError } from '#kernel';
import { type KeyMessages } from '#kafka';
import { showDocument, type StoredDocument, VerifiedMirror } from '#mongo';
import { createLogger, InjectConfig, RequestError } from '#platform';
import { isCopied, type ListedFailedEvent, type ListedRead, type TableRecord } from '#replication';
import {
  StateCheckpointStore,
  StateDatabase,
  StateFailedEventStore,
  StateLineageStore,
  StateMismatchStore,
  StateRepairStore,
  StateRequestedReadStore,
  StateTableStore,
} from '#state';
import {
  type Fault,
  findCause,
  judgeAtRest,
  type KeyFacts,
  compare,
  MessageRow,
  type MismatchRecord,
  type RepairRecord,
} from '#verification';
import { StreamedEndpoints } from '../probes/streamed-endpoints.ts';
import { MirrorConnection } from '../connections/mirror-connection.ts';
import { RecordedSource } from '../verification/recorded-source.ts';
import { type ExplainQuery } from './explain-query.ts';
import { ExplainedSource } from './explained-source.ts';
import {
  type ExplainedFailedEventDto,
  type ExplainedLogDto,
  type ExplainedMismatchDto,
  type ExplanationDto,
} from './explanation.dto.ts';
import { describeMessages } from './describe-messages.ts';
import { findLogPlace } from '../verification/log-place.ts';
import { LogFindings } from './log-findings.ts';
import { missing, type Part, takePart } from './part.ts';
import { showJson, showRow } from './shown-json.ts';

/** One row of a source, as asked for. */
interface ExplainedKey {
  readonly source: SourceConfig;
  readonly table: TableName;
  readonly layout: TableLayout;
  readonly key: Row;
  /** As in the messages of Kafka. */
  readonly text: string;
}

/** What was found everywhere. */
interface Found {
  readonly record: Part<TableRecord | null>;
  readonly checkpoint: Part<Checkpoint>;
  readonly highest: string;
  readonly document: Part<StoredDocument | null>;
  readonly row: Part<{ readonly row: Row | null; readonly gtidSet: string }>;
  readonly messages: Part<KeyMessages>;
  readonly recent: Part<Awaited<ReturnType<DcsClient['findChanges']>>>;
  readonly reads: Part<readonly ListedRead[]>;
  readonly mismatches: Part<readonly FoundMismatch[]>;
  readonly failedEvents: Part<readonly ListedFailedEvent[]>;
}

interface FoundMismatch extends MismatchRecord {
  readonly repairs: readonly RepairRecord[];
}

const RECENT_CHANGES = 10;
const MOST_OPEN_READS = 100;
const MOST_MISMATCHES = 20;
const MOST_REPAIRS = 5;
/** One of each sink. */
const MOST_FAILED_EVENTS = 10;
/** Above every version. */
const NO_BOUND = 'g';

/** Puts together what MySQL, MongoDB, Kafka, DCS, the state database and the binary log say of one row. */
@Injectable()
export class Explainer {
  readonly #config: DittoConfig;
  readonly #dcs: DcsClient;
  readonly #state: StateDatabase;
  readonly #mirror: MirrorConnection;
  readonly #endpoints: StreamedEndpoints;
  readonly #logger = createLogger('explain');

  constructor(
    @InjectConfig() config: DittoConfig,
    dcs: DcsClient,
    state: StateDatabase,
    mirror: MirrorConnection,
    endpoints: StreamedEndpoints,
  ) {
    this.#config = config;
    this.#dcs = dcs;
    this.#state = state;
    this.#mirror = mirror;
    this.#endpoints = endpoints;
  }

  /** Rejects when there is no such row to speak of: no such table, or a key that is not one. */
  async explain({ source: name, table, key: text }: ExplainQuery): Promise<ExplanationDto> {
    const source = this.#config.sources[name] as SourceConfig;
    const { signal } = new AbortController();
    const streamed = await takePart(signal, () => this.#endpoints.find(source));
    const server = new ExplainedSource({ source, streamed, table, logger: this.#logger });
    try {
      const record = await takePart(signal, () => new StateTableStore(this.#state).find(name, table));
      const layout = record.value?.adopted?.layout ?? (await this.#readLayout(server, table, signal));
      const key = readKey(layout, text, this.#config.kafka?.bigint ?? 'number');
      const explained = { source, table, layout, key, text: compileKeyEncoder(layout)(key) };
      const found = await this.#find(explained, record, server, signal);
      const findings = new LogFindings(found.checkpoint.value?.lineage ?? 0, layout, found.document.value);
      const log = await this.#readLog(explained, found, findings, server, signal);
      return this.#describe(explained, found, findings, log, server);
    } finally {
      server.close();
    }
  }

  async #readLayout(server: ExplainedSource, table: TableName, signal: AbortSignal): Promise<TableLayout> {
    const layout = await server.readLayout(signal);
    if (layout !== null) return layout;
    throw new RequestError(404, 'DITTO_REQUEST_NOT_FOUND', `there is no table ${formatTableName(table)}`, {
      remedy: 'Name a table of the source as database.table, with letter case.',
    });
  }

  /** The checkpoint first, then what is stored: all that it covers was there by then. The log comes after all of it. */
  async #find(
    explained: ExplainedKey,
    record: Part<TableRecord | null>,
    server: ExplainedSource,
    signal: AbortSignal,
  ): Promise<Found> {
    const { source, table, layout, key, text } = explained;
    const { kafka, mongo } = this.#config;
    const checkpoint = await takePart(signal, () => this.#readCheckpoint(source.name));
    const document =
      mongo === null || !source.sinks.includes('mongo')
        ? missing('the source has no mirror (sinks)')
        : await takePart(signal, (limit) => this.#readDocument(source.name, mongo.databasePrefix, explained, limit));
    const highest = await takePart(signal, (limit) => this.#recorded(source.name, server).readHighestVersion(limit));
    const [row, messages, recent, reads, mismatches, failedEvents] = await Promise.all([
      takePart(signal, (limit) => server.readRow(layout, key, limit)),
      kafka === null || !source.sinks.includes('kafka')
        ? missing('the source has no topics (sinks)')
        : takePart(signal, (limit) => server.readMessages(kafka, layout, key, limit)),
      takePart(signal, () =>
        this.#dcs.findChanges({
          ...{ source: source.name, table: formatTableName(table), key: text, limit: RECENT_CHANGES },
        }),
      ),
      takePart(signal, () => this.#listReads(explained)),
      takePart(signal, () => this.#listMismatches(explained)),
      takePart(signal, () => this.#listFailedEvents(explained)),
    ]);
    return {
      record,
      checkpoint,
      highest: highest.value ?? NO_BOUND,
      document,
      row,
      messages,
      recent,
      reads,
      mismatches,
      failedEvents,
    };
  }

  async #readCheckpoint(source: string): Promise<Checkpoint> {
    const stored = await new DcsCheckpointStore(this.#dcs).load(source).catch(async (error: unknown) => {
      if (!toDittoError(error).retriable) throw error;
      return new StateCheckpointStore(this.#state).load(source);
    });
    if (stored === null) throw new Error('the source has none yet');
    return stored.checkpoint;
  }

  async #readDocument(
    source: string,
    databasePrefix: string,
    { layout, key }: ExplainedKey,
    signal: AbortSignal,
  ): Promise<StoredDocument | null> {
    const mirror = new VerifiedMirror({ connection: await this.#mirror.open(), source, databasePrefix });
    return (await mirror.read(layout, [key], signal))[0] ?? null;
  }

  #recorded(source: string, { logEnd, catalogue }: ExplainedSource): RecordedSource {
    return new RecordedSource({
      source,
      dcs: new DcsCheckpointStore(this.#dcs),
      state: new StateCheckpointStore(this.#state),
      tables: new StateTableStore(this.#state),
      lineages: new StateLineageStore(this.#state),
      catalogue,
      log: logEnd,
    });
  }

  #listReads({ source, table, layout, key }: ExplainedKey): Promise<readonly ListedRead[]> {
    const ofRow = { database: table.database, table: table.table, key: encodeKeyValues(layout, key) };
    const listing = { onlyOpen: true, before: null, limit: MOST_OPEN_READS, ofRow };
    return new StateRequestedReadStore(this.#state).list(source.name, listing);
  }

  async #listFailedEvents({ source, table, layout, key }: ExplainedKey): Promise<readonly ListedFailedEvent[]> {
    const wanted = encodeKeyValues(layout, key);
    const { database, table: name } = table;
    const filter = { source: source.name, database, table: name, key: wanted };
    return new StateFailedEventStore(this.#state).list(filter, { after: null, limit: MOST_FAILED_EVENTS });
  }

  async #listMismatches({ source, table, layout, key }: ExplainedKey): Promise<readonly FoundMismatch[]> {
    const wanted = encodeKeyValues(layout, key);
    const filter = { source: source.name, database: table.database, table: table.table, key: wanted };
    const found = await new StateMismatchStore(this.#state).list(filter, { after: null, limit: MOST_MISMATCHES });
    const repairs = new StateRepairStore(this.#state);
    return Promise.all(
      found
        // the server may compare without regard to case
        .filter((mismatch) => mismatch.key === wanted)
        .map(async (mismatch) => ({
          ...mismatch,
          repairs: await repairs.list({ mismatchId: mismatch.id }, { after: null, limit: MOST_REPAIRS }),
        })),
    );
  }

  /** From the place of what is stored; where nothing is, of the newest message. */
  async #readLog(
    { layout, key }: ExplainedKey,
    { checkpoint, document, messages }: Found,
    findings: LogFindings,
    server: ExplainedSource,
    signal: AbortSignal,
  ): Promise<ExplainedLogDto> {
    const unread = { from: null, to: null, bytes: 0, cutBecause: null };
    const found = () => ({
      named: findings.named,
      isAsNamed: findings.againstNamed === null ? null : findings.againstNamed === 'equal',
      newer: findings.newer,
      changes: findings.shown,
    });
    const version = document.value?.version ?? messages.value?.messages.find((one) => one.version !== null)?.version;
    if (checkpoint.value === null)
      return { ...missing('without a checkpoint no place is known'), ...unread, ...found() };
    if (version === undefined || version === null)
      return { unavailable: 'no version of the key names a place to begin with', ...unread, ...found() };
    const from = findLogPlace(version, checkpoint.value);
    if (typeof from === 'string') return { unavailable: from, ...unread, ...found() };
    const read = await takePart(signal, (limit) =>
      server.readLog({ from, layout, keys: [key], signal: limit, onChange: (change) => findings.add(change) }),
    );
    const place = { file: from.file, offset: from.offset };
    if (read.value === null) return { unavailable: read.unavailable, ...unread, from: place, ...found() };
    const { file, offset, bytes, cutBecause } = read.value;
    return { unavailable: null, from: place, to: { file, offset }, bytes, cutBecause, ...found() };
  }

  #describe(
    explained: ExplainedKey,
    found: Found,
    findings: LogFindings,
    log: ExplainedLogDto,
    server: ExplainedSource,
  ): ExplanationDto {
    const { source, table, layout, text } = explained;
    const { record, checkpoint, row, document, messages, recent, reads, mismatches, failedEvents } = found;
    const comparison =
      row.value === null || document.unavailable !== null
        ? null
        : judgeAtRest(row.value.row, document.value, found.highest);
    const facts = this.#collectFacts(explained, found, findings, comparison, server);
    const adopted = record.value?.adopted?.layout ?? null;
    const gone = { value: null, omittedBytes: 0 };
    return {
      source: source.name,
      table: formatTableName(table),
      key: parseJsonExactly(text),
      ...findCause(facts),
      recorded: {
        unavailable: record.unavailable,
        copied: facts.copied,
        generation: record.value?.generation ?? null,
        columns: (adopted ?? layout).columns.map(({ name }) => name),
        key: keyNames(layout),
        excludeColumns: [...source.excludeColumns],
      },
      checkpoint: {
        unavailable: checkpoint.unavailable,
        version: checkpoint.value?.version ?? null,
        gtidSet: checkpoint.value?.position.gtidSet ?? null,
      },
      row: {
        unavailable: row.unavailable,
        exists: row.value === null ? null : row.value.row !== null,
        ...(row.value?.row == null ? gone : showRow(layout, row.value.row)),
        gtidSet: row.value?.gtidSet ?? null,
      },
      document: {
        unavailable: document.unavailable,
        state: stateOf(document),
        version: document.value?.version ?? null,
        gtid: document.value?.gtid ?? null,
        damage: document.value?.damage ?? null,
        comparison: comparison === null || comparison === 'equal' ? comparison : comparison.kind,
        differences: comparison === null || comparison === 'equal' ? [] : [...comparison.differences],
        ...(document.value === null ? gone : showJson(showDocument(document.value.bytes))),
      },
      messages: describeMessages(messages, source.name, table),
      recent: {
        unavailable:
          recent.value?.isKept === false ? 'DCS keeps none of this source (dcs.recentEvents)' : recent.unavailable,
        complete: recent.value?.isComplete ?? null,
        changes: [...(recent.value?.changes ?? [])],
      },
      log,
      reads: {
        unavailable: reads.unavailable,
        reads: (reads.value ?? []).map(({ id, state, reason, actor, acceptedAtMs }) => ({
          ...{ id, state, reason, actor, acceptedAtMs },
        })),
      },
      mismatches: {
        unavailable: mismatches.unavailable,
        mismatches: (mismatches.value ?? []).map(describeMismatch),
      },
      failedEvents: {
        unavailable: failedEvents.unavailable,
        failedEvents: (failedEvents.value ?? []).map(describeFailedEvent),
      },
    };
  }

  #collectFacts(
    { source, table }: ExplainedKey,
    { record, checkpoint, document, messages, reads, failedEvents }: Found,
    findings: LogFindings,
    comparison: 'equal' | Fault | null,
    { rules }: ExplainedSource,
  ): KeyFacts {
    const [read] = reads.value ?? [];
    const refused = failedEvents.value?.find((event) => event.sink === 'mongo' && event.endedAtMs === null);
    const includes = rules.includes(table.database, table.table);
    return {
      filteredBy: includes ? null : `the options include and exclude of sources.${source.name}`,
      copied: record.unavailable !== null ? null : record.value === null ? 'unseen' : isCopied(record.value),
      reread: read === undefined ? null : `the read ${read.id} (${read.reason})`,
      refused: refused === undefined ? null : `the failed event ${refused.id} (${refused.code})`,
      comparison,
      storedVersion: document.value?.version ?? null,
      againstNamed: findings.againstNamed ?? this.#compareWithMessage(source.name, record, document, messages),
      checkpoint: checkpoint.value?.version ?? null,
      nextLogged: findings.next,
    };
  }

  /** For what the log does not have: what a read found, or where the log is purged. */
  #compareWithMessage(
    source: string,
    { value: record }: Found['record'],
    { value: stored }: Found['document'],
    { value: messages }: Found['messages'],
  ): 'equal' | Fault | null {
    const layout = record?.adopted?.layout ?? null;
    const message = messages?.messages.find(({ version }) => version !== null && version === stored?.version);
    if (layout === null || stored === null || message === undefined) return null;
    const bigint = this.#config.kafka?.bigint ?? 'number';
    const left = new MessageRow(message, { layout, source, bigint }).readRow();
    return left === undefined ? null : compare(left, stored);
  }
}

function readKey(layout: TableLayout, text: string, bigint: 'number' | 'string'): Row {
  const table = formatTableName(layout);
  if (layout.key.length === 0)
    throw new RequestError(400, 'DITTO_REQUEST_INVALID', `${table} has no key by which a row could be named`);
  const key = decodeJsonKey(layout, Buffer.from(text), bigint);
  if (key !== null && layout.key.every((index) => key[index] !== null)) return key;
  const columns = layout.key.map(
    (index) => `${layout.columns[index]?.name ?? ''} ${layout.columns[index]?.type ?? ''}`,
  );
  throw new RequestError(400, 'DITTO_REQUEST_INVALID', `key is not a key of ${table}: ${columns.join(', ')}`, {
    remedy: `Give a JSON object of exactly these columns: ${keyNames(layout).join(', ')}; each value as in the messages of Kafka.`,
  });
}

function keyNames({ key, columns }: TableLayout): string[] {
  return key.map((index) => columns[index]?.name ?? '');
}

function stateOf({ value, unavailable }: Part<StoredDocument | null>): 'stored' | 'deleted' | 'absent' | null {
  if (unavailable !== null) return null;
  if (value === null) return 'absent';
  return value.isDeleted ? 'deleted' : 'stored';
}

function describeFailedEvent(event: ListedFailedEvent): ExplainedFailedEventDto {
  const { id, sink, state, code, message, attempts, laterChanges, firstFailedMs, lastFailedMs, reason } = event;
  return { id, sink, state, code, message, attempts, laterChanges, firstFailedMs, lastFailedMs, reason };
}

function describeMismatch(mismatch: FoundMismatch): ExplainedMismatchDto {
  const { id, sink, kind, state, reason, firstSeenMs, lastSeenMs } = mismatch;
  const repairs = mismatch.repairs.map((repair) => ({
    id: repair.id,
    state: repair.state,
    attempts: repair.attempts,
    actor: repair.actor,
    reason: repair.reason,
    plannedAtMs: repair.plannedAtMs,
    endedAtMs: repair.endedAtMs,
  }));
  return { id, sink, kind, state, reason, firstSeenMs, lastSeenMs, repairs };
}
