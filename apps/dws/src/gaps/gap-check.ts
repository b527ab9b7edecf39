import {
  type BigintMode,
  decodeJsonKey,
  describeKey,
  encodeKeyValues,
  lineageOf,
  type LoggedTransaction,
  partitionForKey,
  type Position,
  type StoredCheckpoint,
  tableKey,
  type TableName,
  topicName,
} from '#change-events';
import { type MessageSearch, type SearchedMessages } from '#kafka';
import { isAbort, toDittoError } from '#kernel';
import { type ChangeSource, type FailedEventStore, isCopied, type TableRecord } from '#replication';
import { CURRENT_STATES, type MismatchStore, type NewMismatch } from '#verification';
import { type LoggedMessage, type LoggedTable, readLoggedMessages } from './logged-messages.ts';

/** Where a check ended, and what was then known of the tables. */
export interface GapPlace {
  readonly version: string;
  readonly position: Position;
  readonly lastCovered: LoggedTransaction | null;
  /** By `tableKey`, of the tables whose messages can be looked for: their generation, and the partitions of their topic. */
  readonly tables: Readonly<Record<string, readonly [generation: number, partitions: number]>>;
}

export interface GapCheckOptions {
  readonly source: string;
  readonly log: Pick<ChangeSource, 'stream'>;
  readonly includes: (database: string, table: string) => boolean;
  readonly bigint: BigintMode;
  readonly readCheckpoint: (signal: AbortSignal) => Promise<StoredCheckpoint>;
  readonly tables: {
    readonly load: (source: string) => Promise<readonly TableRecord[]>;
    readonly find: (source: string, table: TableName) => Promise<TableRecord | null>;
  };
  /** As Kafka has them now. */
  readonly countPartitions: (topics: readonly string[]) => Promise<ReadonlyMap<string, number>>;
  /** By topic, as DSS has recorded them: it gives keys to partitions by these, whatever Kafka has. */
  readonly recordedPartitions: (source: string) => Promise<ReadonlyMap<string, number>>;
  readonly search: Pick<MessageSearch, 'find'>;
  readonly places: {
    readonly load: (source: string) => Promise<string | null>;
    readonly save: (source: string, place: string) => Promise<void>;
  };
  /** Changes that the quarantine has held back have no message. */
  readonly failedEvents: Pick<FailedEventStore, 'findLacking'>;
  readonly mismatches: Pick<MismatchStore, 'record' | 'list'>;
  readonly bounds: {
    readonly bytes: number;
    readonly messages: number;
    readonly logMs: number;
    readonly topicsMs: number;
  };
  readonly onFound: (found: readonly NewMismatch[]) => void;
  /** `found`, `missing`, or why nothing is known. */
  readonly onJudged: (outcome: string, messages: number) => void;
  /** Nothing is said of what this topic should have got. */
  readonly onUnreadable: (topic: string, error: unknown) => void;
  /** A part of the log of unknown size was not looked at. */
  readonly onCut: (reason: string) => void;
}

/** As of one turn. */
export interface GapCheckResult {
  readonly found: number;
  readonly missing: number;
  readonly unknown: number;
}

/** A message, and where it is looked for. */
interface Wanted extends LoggedMessage {
  readonly partition: number;
  readonly committedMs: number;
}

/** Of one table in one turn; the others are counted. */
const MOST_RECORDED = 100;
/** Of one table; the others are counted. */
const MOST_CURRENT = 1000;
const NOTHING: GapCheckResult = { found: 0, missing: 0, unknown: 0 };

/**
 * Compares the log of a source with its topics: each change has its message. A turn reads the log from where the turn
 * before ended up to the checkpoint, and looks for what that must have left in the topics.
 *
 * A table is judged only while it has one generation and is copied, from before the beginning of the range until after its
 * topic was read: then nothing has left out any of its changes. A message that is missing is looked for once more, and the
 * checkpoint must not have gone back meanwhile: after a crash an older one may count again, and what is repeated then is
 * not there yet.
 */
export class GapCheck {
  readonly #options: GapCheckOptions;

  constructor(options: GapCheckOptions) {
    this.#options = options;
  }

  async turn(signal: AbortSignal): Promise<GapCheckResult> {
    const { source, readCheckpoint, places, onCut } = this.#options;
    const place = parsePlace(await places.load(source));
    if (place?.version === (await readCheckpoint(signal)).checkpoint.version) {
      // a quiet source keeps its place
      await places.save(source, JSON.stringify(place));
      return NOTHING;
    }
    // before the checkpoint: what raises a generation later is not behind it
    const tables = await this.#listTables();
    const reached = await readCheckpoint(signal);
    const { version, position, lastCovered } = reached.checkpoint;
    const isContinued = place !== null && isSameLog(place, reached);
    if (!isContinued) onCut(place === null ? 'no place' : 'another log');
    const result = isContinued ? await this.#check(place, reached, signal) : NOTHING;
    const next: GapPlace = { version, position, lastCovered, tables };
    await places.save(source, JSON.stringify(next));
    return result;
  }

  async #listTables(): Promise<GapPlace['tables']> {
    const { source, tables, recordedPartitions } = this.#options;
    const known = (await tables.load(source)).filter((record) => isCopied(record) === 'yes');
    const partitions = await recordedPartitions(source);
    return Object.fromEntries(
      known.map((record) => [tableKey(record), [record.generation, partitions.get(this.#topicOf(record)) ?? 0]]),
    );
  }

  async #check(place: GapPlace, reached: StoredCheckpoint, signal: AbortSignal): Promise<GapCheckResult> {
    const { log, includes, bigint, bounds, onJudged, onCut } = this.#options;
    const { position: from, lastCovered: proof } = place;
    const { version: upTo } = reached.checkpoint;
    const range = await readLoggedMessages(log, {
      ...{ from, proof, upTo, lineage: lineageOf(upTo), includes, bigint, signal },
      ...{ mostBytes: bounds.bytes, mostMs: bounds.logMs, mostMessages: bounds.messages },
    });
    if (range.cutBecause !== null) onCut(range.cutBecause);
    const partitions = await this.#options.recordedPartitions(this.#options.source);
    const untilMs = Date.now() + bounds.topicsMs;
    let found = 0;
    let missing = 0;
    let unknown = range.keyless;
    if (range.keyless > 0) onJudged('no key', range.keyless);
    for (const [name, table] of range.tables) {
      const now = partitions.get(this.#topicOf(table.layout));
      const outcomes = await this.#judge(table, place.tables[name], now, reached, untilMs, signal);
      for (const [outcome, count] of outcomes) {
        if (count > 0) onJudged(outcome, count);
        if (outcome === 'found') found += count;
        else if (outcome === 'missing') missing += count;
        else unknown += count;
      }
    }
    return { found, missing, unknown };
  }

  /** How many messages of the table have which outcome. */
  async #judge(
    { layout, messages }: LoggedTable,
    before: readonly [generation: number, partitions: number] | undefined,
    recordedPartitions: number | undefined,
    reached: StoredCheckpoint,
    untilMs: number,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, number>> {
    const { countPartitions, readCheckpoint } = this.#options;
    const topic = this.#topicOf(layout);
    const all = (reason: string): ReadonlyMap<string, number> => new Map([[reason, messages.length]]);
    if (before === undefined) return all('not copied');
    const [generation, partitions] = before;
    if (partitions === 0) return all('no topic');
    const isSame = async (): Promise<boolean> => {
      const record = await this.#options.tables.find(this.#options.source, layout);
      return (
        record !== null && isCopied(record) === 'yes' && record.generation === generation && hasKey(record, layout)
      );
    };
    if (!(await isSame())) return all('copied or changed meanwhile');
    const counted = await this.#ask(topic, () => countPartitions([topic]));
    if (counted === null) return all('unreadable');
    const inKafka = counted.get(topic);
    if (inKafka !== partitions || recordedPartitions !== partitions) return all('other partitions');
    const wanted = messages.map((message): Wanted => ({
      ...message,
      partition: partitionForKey(Buffer.from(message.key), partitions),
      committedMs: message.transaction.commitMicros / 1000,
    }));
    const find = (some: readonly Wanted[]): Promise<SearchedMessages<Wanted> | null> =>
      this.#ask(topic, () => this.#options.search.find(topic, some, untilMs, signal));
    const first = await find(wanted);
    if (first === null) return all('unreadable');
    const outcomes = new Map<string, number>([['found', first.found], ...first.unknown]);
    if (first.missing.length === 0) return outcomes;
    const again = await readCheckpoint(signal);
    const second = await find(first.missing);
    const count = (outcome: string, more: number): unknown =>
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + more);
    if (second === null) {
      count('unreadable', first.missing.length);
      return outcomes;
    }
    count('found', second.found);
    for (const [reason, more] of second.unknown) count(reason, more);
    if (!isAhead(again, reached)) count('repeated meanwhile', second.missing.length);
    else if (!(await isSame())) count('copied or changed meanwhile', second.missing.length);
    else {
      const missing = await this.#exceptRefused(layout, second.missing);
      count('in the quarantine', second.missing.length - missing.length);
      if (missing.length > 0) await this.#record(layout, missing);
      count('missing', missing.length);
    }
    return outcomes;
  }

  /**
   * Null when this topic can't be read: that must not keep the others from being looked at. Rejects while Kafka itself does
   * not answer.
   */
  async #ask<T>(topic: string, work: () => Promise<T>): Promise<T | null> {
    const { countPartitions, onUnreadable } = this.#options;
    try {
      return await work();
    } catch (error) {
      if (isAbort(error)) throw error;
      const { retriable } = toDittoError(error);
      if (retriable) await countPartitions([topic]);
      onUnreadable(topic, error);
      return null;
    }
  }

  async #exceptRefused(layout: LoggedTable['layout'], missing: readonly Wanted[]): Promise<readonly Wanted[]> {
    const { source, bigint, failedEvents } = this.#options;
    const changes = missing.map(({ key, version }) => {
      const row = decodeJsonKey(layout, Buffer.from(key), bigint);
      return { key: row === null ? '' : encodeKeyValues(layout, row), version };
    });
    const lacking = await failedEvents.findLacking(source, 'kafka', layout, changes);
    return missing.filter((_, i) => lacking[i] !== true);
  }

  async #record(table: TableName, missing: readonly Wanted[]): Promise<void> {
    const { source, mismatches, onFound } = this.#options;
    const seenAtMs = Date.now();
    const { database, table: name } = table;
    const ofTable = { source, database, table: name, sink: 'kafka', kind: 'gap', states: CURRENT_STATES } as const;
    const current = await mismatches.list(ofTable, { after: null, limit: MOST_CURRENT });
    const most = Math.min(MOST_RECORDED, MOST_CURRENT - current.length);
    const found = missing.slice(0, most).map((message) => describeGap(source, table, message, seenAtMs));
    onFound(await mismatches.record(found));
  }

  #topicOf({ database, table }: TableName): string {
    return topicName(this.#options.source, database, table);
  }
}

/** Places of the two can be compared, and nothing was begun again below the first. */
function isSameLog({ version, position }: GapPlace, { checkpoint }: StoredCheckpoint): boolean {
  return (
    lineageOf(version) === checkpoint.lineage &&
    lineageOf(checkpoint.version) === checkpoint.lineage &&
    position.serverUuid === checkpoint.position.serverUuid &&
    version < checkpoint.version
  );
}

function isAhead({ token, checkpoint }: StoredCheckpoint, before: StoredCheckpoint): boolean {
  return (
    token === before.token &&
    checkpoint.lineage === before.checkpoint.lineage &&
    checkpoint.position.serverUuid === before.checkpoint.position.serverUuid &&
    checkpoint.version >= before.checkpoint.version
  );
}

function hasKey({ adopted }: TableRecord, layout: LoggedTable['layout']): boolean {
  return adopted === null || adopted.key === describeKey(layout);
}

function describeGap(source: string, table: TableName, message: Wanted, seenAtMs: number): NewMismatch {
  const { id, version, key, op, rowIndex, transaction } = message;
  const { gtid, file, offset } = transaction;
  const shown = `${op} of ${key}`;
  return {
    ...{ source, database: table.database, table: table.table, sink: 'kafka', key: id, isKey: false, kind: 'gap' },
    details: {
      ...{ way: 'first', differences: [], damage: null, storedVersion: null, fingerprint: null, shown },
      change: { id, version, gtid, file, offset, row: rowIndex, op, key },
    },
    ...{ runId: null, seenAtMs },
  };
}

/** What another version of Ditto has kept counts as nothing. */
function parsePlace(text: string | null): GapPlace | null {
  const place = text === null ? null : (JSON.parse(text) as GapPlace);
  return typeof place?.version === 'string' && typeof place.tables === 'object' ? place : null;
}
