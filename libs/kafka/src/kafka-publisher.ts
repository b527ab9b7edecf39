import {
  changeId,
  changeVersion,
  encodeSchemaChange,
  encodeSchemaChangeKey,
  type EnvelopeOptions,
  formatTableName,
  hasKey,
  type RowChanges,
  type SchemaChange,
  schemaChangeId,
  schemaChangeVersion,
  type TableChange,
  tableKey,
  type TableLayout,
  topicName,
} from '#change-events';
import { DittoError, type Logger, type RetryOptions, ServerWait } from '#kernel';
import {
  type Acknowledgement,
  Admission,
  ChangeSink,
  LaneSet,
  QuarantinedKeys,
  type SinkOpenOptions,
  type SinkStatus,
} from '#replication';

import { BufferPool } from './buffer-pool.ts';
import { type ConfirmedEnds } from './confirmed-ends.ts';
import { type KafkaClient, type KafkaRecord } from './kafka-client.ts';
import { isWorthWaiting } from './kafka-errors.ts';
import { LaneDelivery, type LaneDeliveryOptions, type RecordAdmission } from './lane-delivery.ts';
import { type PartitionCountStore } from './partition-count-store.ts';
import { RecordBatch, SplitChange } from './record-batch.ts';
import { describeRefused, readKeyValues } from './refused-record.ts';
import { type BatchSource, TableRoute, type TopicLanes } from './table-route.ts';
import { type PreparedTopic, type TopicDefaults, TopicPreparation } from './topic-preparation.ts';

export interface KafkaPublisherOptions {
  readonly client: KafkaClient;
  /** The source's name: `source.name` of the envelope and first part of every topic. */
  readonly source: string;
  /** Ditto's own version: `source.version` of the envelope. */
  readonly version: string;
  readonly logger: Logger;
  readonly counts: PartitionCountStore;
  /** Notices when confirmed messages are gone; null: nobody does. */
  readonly confirmedEnds?: ConfirmedEnds | null;
  readonly topics: TopicDefaults;
  /** Whether a delete is followed by a tombstone; default true. */
  readonly tombstones?: boolean;
  /** Whether statements on definitions are published, to the topic with the source's own name; default false. */
  readonly schemaChanges?: boolean;
  /** How BIGINT is written in JSON; default `number`, all digits. */
  readonly bigint?: EnvelopeOptions['bigint'];
  /** Upper bound for one record batch before compression; default 900,000 (Kafka's own default limit is 1 MiB). */
  readonly maxBatchBytes?: number;
  /** Default 2,000 (docs/decisions/0002-kafka-client.md). */
  readonly maxBatchMessages?: number;
  /** Between attempts while Kafka does not take messages; default 100 ms to 5 s. */
  readonly backoff?: { readonly initialMs: number; readonly maxMs: number };
}

const DEFAULT_MAX_BATCH_BYTES = 900_000;
const DEFAULT_MAX_BATCH_MESSAGES = 2_000;
const DEFAULT_BACKOFF = { initialMs: 100, maxMs: 5_000 };
const POOLED_BYTES = 8 * 1024 * 1024;
/** Room for the key, the headers and the head of a batch in the message of a statement. */
const STATEMENT_OVERHEAD_BYTES = 2_048;

/**
 * The key of a truncated or dropped table's message: JSON's null as text. Kafka's own null key is refused by compacted
 * topics (INVALID_RECORD); with one key for all, compaction keeps the newest, after every row that it ended.
 */
export const TABLE_CHANGE_KEY = 'null';

/**
 * Publishes changes to Kafka as Debezium's envelopes.
 *
 * One lane for each partition: one send in flight there, so that the changes of a key stay in order (I2); partitions go
 * side by side. A change counts once, when all its messages (delete and tombstone; both halves of a key change) are
 * confirmed by all in-sync replicas (I1).
 */
export class KafkaPublisher extends ChangeSink implements BatchSource {
  readonly name = 'kafka';
  readonly #options: KafkaPublisherOptions;
  readonly #envelope: EnvelopeOptions & { readonly tombstones: boolean };
  readonly #lanes: LaneSet<RecordBatch>;
  readonly #brokers: ServerWait;
  readonly #pool = new BufferPool(POOLED_BYTES);
  /** The newest batch of each lane; sealed once it is being delivered. */
  readonly #newest: (RecordBatch | undefined)[] = [];
  readonly #preparation: TopicPreparation;
  readonly #deliveries: LaneDelivery[] = [];
  readonly #topics = new Map<string, TopicLanes>();
  /** The layout of each topic of a table that was prepared last. */
  readonly #layouts = new Map<string, TableLayout>();
  readonly #routes = new WeakMap<TableLayout, TableRoute>();
  readonly #routesByFingerprint = new Map<string, TableRoute>();
  readonly #closing = new AbortController();
  #newestLayout: TableLayout | null = null;
  #newestRoute: TableRoute | null = null;
  #onFatal: ((error: Error) => void) | null = null;
  #refuse: SinkOpenOptions['refuse'] = (_refused, error) => Promise.reject(error);
  #quarantined = new QuarantinedKeys();
  /** Null until it is open, and when statements are not published. */
  #schemaLanes: TopicLanes | null = null;
  #stopped = false;
  #mayDeliver: () => boolean = () => true;
  #accepted = 0;
  #confirmed = 0;

  constructor(options: KafkaPublisherOptions) {
    super();
    this.#options = options;
    const { source, version, bigint = 'number', tombstones = true } = options;
    this.#envelope = { source, version, bigint, tombstones };
    this.#preparation = new TopicPreparation({ ...options, prefix: options.source });
    const { backoff = DEFAULT_BACKOFF, logger } = options;
    this.#brokers = new ServerWait({ backoff, logger });
    this.#lanes = new LaneSet<RecordBatch>({
      deliver: (lane, [batch]) => this.#deliver(lane, batch as RecordBatch),
      maxBatchBytes: Infinity,
      maxBatchEntries: 1,
      backoff,
      logger,
      onFatal: (error) => this.#fail(error),
    });
  }

  override async open({ onFatal, refuse, quarantined, mayDeliver, signal }: SinkOpenOptions): Promise<void> {
    this.#onFatal = onFatal;
    this.#refuse = refuse;
    this.#quarantined = quarantined;
    this.#mayDeliver = mayDeliver;
    this.#lanes.guardWith(mayDeliver);
    const { client, confirmedEnds, schemaChanges, source } = this.#options;
    client.guardWith(mayDeliver);
    const atStart = { signal, isRetriable: isWorthWaiting };
    await this.#insist('connecting to Kafka', () => client.connect(), atStart);
    await this.#insist('looking for lost messages', async () => confirmedEnds?.open((e) => this.#fail(e)), atStart);
    if (schemaChanges !== true) return;
    const prepare = async (): Promise<PreparedTopic> => {
      await confirmedEnds?.use(source);
      return this.#preparation.prepareSchemaTopic();
    };
    this.#schemaLanes = this.#openLanes(await this.#insist('preparing the topic of statements', prepare, atStart));
  }

  override async prepareTable(layout: TableLayout): Promise<void> {
    const key = tableKey(layout);
    const known = this.#topics.get(key);
    if (known === undefined || !this.#routesByFingerprint.has(fingerprintOf(layout))) {
      const lanes = await this.#prepareTopic(layout, known);
      this.#topics.set(key, lanes);
      this.#routesByFingerprint.set(fingerprintOf(layout), new TableRoute(layout, lanes, this.#envelope, this));
    }
    // also one that was there before: another may have come in between
    this.#layouts.set((this.#topics.get(key) as TopicLanes).topic, layout);
  }

  override accept(changes: RowChanges, acknowledgement: Acknowledgement): void {
    const nowMs = Date.now();
    const { layout } = changes;
    const route = layout === this.#newestLayout ? (this.#newestRoute as TableRoute) : this.#routeOf(layout);
    let taken = 0;
    try {
      while (taken < changes.count) route.push(changes, taken++, nowMs, acknowledgement);
    } catch (error) {
      taken--;
      throw error;
    } finally {
      this.#accepted += taken;
    }
  }

  override flush(): void {
    this.#lanes.flush();
  }

  override drain(signal: AbortSignal): Promise<void> {
    return this.#lanes.drain(signal);
  }

  /** A table whose topic does not exist has no rows there to end, and what topic it would need is not known yet. */
  override async applyTableChange(change: TableChange): Promise<void> {
    const { layout } = change;
    if (!this.#topics.has(tableKey(layout)) && !(await this.#hasTopic(layout))) return;
    await this.prepareTable(layout);
    const route = this.#routeOf(layout);
    const value = route.encodeTableChange(change, Date.now());
    const key = hasKey(layout) ? TABLE_CHANGE_KEY : null;
    const headers = { 'ditto.id': changeId(change), 'ditto.version': changeVersion(change) };
    for (let partition = 0; partition < route.lanes.partitions; partition++)
      this.#append(route.lanes.firstLane + partition, { key, value, headers });
    await this.#lanes.drain(this.#closing.signal);
  }

  override async publishStatement(change: SchemaChange): Promise<void> {
    if (this.#schemaLanes === null) return;
    const { source, version } = this.#options;
    const { firstLane, maxBatchBytes } = this.#schemaLanes;
    const mostBytes = maxBatchBytes - STATEMENT_OVERHEAD_BYTES;
    this.#append(firstLane, {
      key: encodeSchemaChangeKey(change),
      value: encodeSchemaChange(change, { source, version, nowMs: Date.now(), mostBytes }),
      headers: { 'ditto.id': schemaChangeId(change), 'ditto.version': schemaChangeVersion(change) },
    });
    await this.#lanes.drain(this.#closing.signal);
  }

  /** Batches and whole buffers, not what is written into them: a batch of one row may hold as much as one of ten. */
  override get bytesInFlight(): number {
    return this.#lanes.bytesInFlight + this.#pool.takenBytes;
  }

  override status(): SinkStatus {
    return {
      bytesInFlight: this.bytesInFlight,
      changesInFlight: this.#accepted - this.#confirmed,
      confirmedChanges: this.#confirmed,
      retries: this.#lanes.retries,
      counters: {},
      holdingBecause: this.#lanes.holdingBecause ?? this.#brokers.because,
    };
  }

  override async close(): Promise<void> {
    this.#stopped = true;
    this.#closing.abort();
    this.#lanes.close();
    await this.#options.confirmedEnds?.close();
    await this.#options.client.close();
  }

  /** A record that may fill a batch by itself begins one: after others it would be written here and moved to the next. */
  openBatch(lane: number, bound: number): RecordBatch {
    const batch = this.#newest[lane];
    const most = this.#options.maxBatchMessages ?? DEFAULT_MAX_BATCH_MESSAGES;
    if (batch === undefined || batch.isSealed || batch.count >= most) return this.#startBatch(lane);
    const { maxBatchBytes } = (this.#deliveries[lane] as LaneDelivery).target;
    return bound > maxBatchBytes && batch.count > 0 ? this.#startBatch(lane) : batch;
  }

  recorded(lane: number, batch: RecordBatch): void {
    const { maxBatchBytes } = (this.#deliveries[lane] as LaneDelivery).target;
    if (batch.length <= maxBatchBytes || batch.count === 1) return;
    batch.moveLastTo(this.#startBatch(lane));
  }

  /** A message that counts as no change. */
  #append(lane: number, record: KafkaRecord): void {
    const batch = this.openBatch(lane, 0);
    batch.append(record, null);
    this.recorded(lane, batch);
  }

  #startBatch(lane: number): RecordBatch {
    const batch = new RecordBatch(this.#pool);
    this.#newest[lane] = batch;
    this.#lanes.push(lane, batch);
    return batch;
  }

  #routeOf(layout: TableLayout): TableRoute {
    let route = this.#routes.get(layout);
    if (route === undefined) {
      route = this.#routesByFingerprint.get(fingerprintOf(layout));
      if (route === undefined)
        throw new DittoError(
          'DITTO_KAFKA_TABLE_NOT_PREPARED',
          `${formatTableName(layout)} was not prepared before its first change`,
        );
      this.#routes.set(layout, route);
    }
    this.#newestLayout = layout;
    this.#newestRoute = route;
    return route;
  }

  #hasTopic(layout: TableLayout): Promise<boolean> {
    return this.#insist(`looking for the topic of ${formatTableName(layout)}`, () =>
      this.#preparation.hasTopic(layout),
    );
  }

  async #prepareTopic(layout: TableLayout, known: TopicLanes | undefined): Promise<TopicLanes> {
    const prepared = await this.#insist(`preparing ${formatTableName(layout)}`, async () => {
      await this.#options.confirmedEnds?.use(topicName(this.#options.source, layout.database, layout.table));
      return this.#preparation.prepare(layout);
    });
    return known?.partitions === prepared.partitions ? known : this.#openLanes(prepared);
  }

  /** Until the publisher is closed, unless `options` say otherwise. */
  #insist<T>(
    what: string,
    work: () => Promise<T>,
    options: Pick<RetryOptions, 'signal' | 'isRetriable'> = { signal: this.#closing.signal },
  ): Promise<T> {
    return this.#brokers.until(`${what} failed, trying again`, work, options);
  }

  #openLanes({ topic, partitions, maxMessageBytes }: PreparedTopic): TopicLanes {
    const { client, confirmedEnds } = this.#options;
    const maxBatchBytes = Math.min(
      this.#options.maxBatchBytes ?? DEFAULT_MAX_BATCH_BYTES,
      maxMessageBytes ?? Number.MAX_SAFE_INTEGER,
    );
    const lanes: TopicLanes = { topic, partitions, firstLane: this.#deliveries.length, maxBatchBytes };
    const refuse: LaneDeliveryOptions['refuse'] = (record, error) => this.#refuseRecord(topic, record, error);
    const admit = (): RecordAdmission | null => this.#admissionTo(topic);
    // shared: there may be twelve thousand partitions
    const mayDeliver = (): boolean => this.#mayDeliver();
    for (let partition = 0; partition < partitions; partition++) {
      const target = { topic, partition, maxBatchBytes };
      this.#deliveries.push(
        new LaneDelivery({ client, target, ends: confirmedEnds ?? null, refuse, admit, mayDeliver }),
      );
    }
    return lanes;
  }

  async #deliver(lane: number, batch: RecordBatch): Promise<void> {
    batch.isSealed = true;
    await (this.#deliveries[lane] as LaneDelivery).deliver(batch);
    // an idle lane holds nothing
    if (this.#newest[lane] === batch) this.#newest[lane] = undefined;
    if (!this.#stopped) this.#confirm(batch);
  }

  #admissionTo(topic: string): RecordAdmission | null {
    if (this.#quarantined.isEmpty) return null;
    const layout = this.#layouts.get(topic);
    if (layout === undefined || !this.#quarantined.hasAny(layout)) return null;
    const admission = new Admission(this.#quarantined);
    const { database, table } = layout;
    return {
      admits: ({ key, headers, value }) => {
        const text = key?.toString() ?? TABLE_CHANGE_KEY;
        if (text === TABLE_CHANGE_KEY) return true;
        const of = { database, table, key: readKeyValues(layout, text) };
        return admission.admits(of, headers['ditto.version'] ?? '', value !== null);
      },
      noteHeld: () => admission.noteHeld(),
      noteTaken: () => admission.noteTaken(),
    };
  }

  /** What has not the key of a row can't be repaired by reading one. */
  #refuseRecord(topic: string, record: KafkaRecord, error: DittoError): Promise<void> {
    const layout = this.#layouts.get(topic);
    const key = record.key?.toString() ?? TABLE_CHANGE_KEY;
    if (layout === undefined || key === TABLE_CHANGE_KEY) return Promise.reject(error);
    return this.#refuse(describeRefused(layout, key, record), error);
  }

  #confirm({ runs }: RecordBatch): void {
    for (const { confirms, count } of runs) {
      if (!(confirms instanceof SplitChange)) this.#acknowledge(confirms, count);
      else for (let i = 0; i < count; i++) if (confirms.confirmOne()) this.#acknowledge(confirms.acknowledgement, 1);
    }
  }

  #acknowledge(acknowledgement: Acknowledgement, count: number): void {
    this.#confirmed += count;
    acknowledgement.acknowledge(count);
  }

  #fail(error: DittoError): void {
    this.#stopped = true;
    this.#onFatal?.(error);
  }
}

function fingerprintOf(layout: TableLayout): string {
  return `${tableKey(layout)}\0${layout.fingerprint}`;
}
