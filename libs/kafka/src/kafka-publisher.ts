import {
  changeAt,
  changeId,
  changeVersion,
  encodeTableChange,
  type EnvelopeOptions,
  hasKey,
  keyChanged,
  type RowChange,
  type RowChanges,
  splitKeyChange,
  type TableChange,
  type TableLayout,
} from '#change-events';
import { Backoff, DittoError, type Logger, retry } from '#kernel';
import { type Acknowledgement, ChangeSink, LaneSet, type SinkStatus } from '#replication';

import { type KafkaClient } from './kafka-client.ts';
import { LaneDelivery } from './lane-delivery.ts';
import { type PartitionCountStore } from './partition-count-store.ts';
import { createEntry, type MessageEntry, SplitChange, TableRoute, type TopicLanes } from './table-route.ts';
import { type TopicDefaults, TopicPreparation } from './topic-preparation.ts';

export interface KafkaPublisherOptions {
  readonly client: KafkaClient;
  /** The source's name: `source.name` of the envelope and first part of every topic. */
  readonly source: string;
  /** Ditto's own version: `source.version` of the envelope. */
  readonly version: string;
  readonly logger: Logger;
  readonly counts: PartitionCountStore;
  readonly topics: TopicDefaults;
  /** Whether a delete is followed by a tombstone; default true. */
  readonly tombstones?: boolean;
  /** How BIGINT stands in JSON; default `number`, all digits. */
  readonly bigint?: EnvelopeOptions['bigint'];
  /** Upper bound for one record batch before compression; default 900,000 (Kafka's own default limit is 1 MiB). */
  readonly maxBatchBytes?: number;
  /** Default 2,000 (docs/decisions/0002-kafka-client.md). */
  readonly maxBatchMessages?: number;
  /** Between attempts while Kafka does not take messages; default 100 ms to 5 s. */
  readonly backoff?: { readonly initialMs: number; readonly maxMs: number };
}

const defaultMaxBatchBytes = 900_000;
const defaultMaxBatchMessages = 2_000;
const defaultBackoff = { initialMs: 100, maxMs: 5_000 };

/**
 * The key of a truncated or dropped table's message: JSON's null as text. Kafka's own null key is refused by compacted
 * topics (INVALID_RECORD); with one key for all, compaction keeps the newest, behind every row that it ended.
 */
export const tableChangeKey = 'null';

/**
 * Publishes changes to Kafka as Debezium's envelopes (design, section 7).
 *
 * One lane for each partition: one send in flight there, so that the changes of a key stay in order (I2); partitions go
 * side by side. A change counts once, when all its messages (delete and tombstone; both halves of a key change) are
 * confirmed by all in-sync replicas (I1).
 */
export class KafkaPublisher extends ChangeSink {
  readonly name = 'kafka';
  private readonly options: KafkaPublisherOptions;
  private readonly envelope: EnvelopeOptions;
  private readonly tombstones: boolean;
  private readonly lanes: LaneSet<MessageEntry>;
  private readonly preparation: TopicPreparation;
  private readonly deliveries: LaneDelivery[] = [];
  private readonly topics = new Map<string, TopicLanes>();
  private readonly routes = new WeakMap<TableLayout, TableRoute>();
  private readonly routesByFingerprint = new Map<string, TableRoute>();
  private readonly closing = new AbortController();
  private newestLayout: TableLayout | null = null;
  private newestRoute: TableRoute | null = null;
  private onFatal: ((error: Error) => void) | null = null;
  private stopped = false;
  private accepted = 0;
  private confirmed = 0;

  constructor(options: KafkaPublisherOptions) {
    super();
    this.options = options;
    this.tombstones = options.tombstones ?? true;
    this.envelope = { source: options.source, version: options.version, bigint: options.bigint ?? 'number' };
    this.preparation = new TopicPreparation({ ...options, prefix: options.source });
    this.lanes = new LaneSet<MessageEntry>({
      deliver: (lane, entries) => this.deliver(lane, entries),
      maxBatchBytes: options.maxBatchBytes ?? defaultMaxBatchBytes,
      maxBatchEntries: options.maxBatchMessages ?? defaultMaxBatchMessages,
      backoff: options.backoff ?? defaultBackoff,
      logger: options.logger,
      onFatal: (error) => this.fail(error),
    });
  }

  override async open({ onFatal, mayDeliver, signal }: Parameters<ChangeSink['open']>[0]): Promise<void> {
    this.onFatal = onFatal;
    this.lanes.guardWith(mayDeliver);
    await this.persist('connecting to Kafka', signal, () => this.options.client.connect());
  }

  override async prepareTable(layout: TableLayout): Promise<void> {
    const name = tableName(layout);
    const known = this.topics.get(name);
    if (known === undefined || !this.routesByFingerprint.has(fingerprintOf(layout))) {
      const lanes = await this.prepareTopic(layout, known);
      this.topics.set(name, lanes);
      this.routesByFingerprint.set(fingerprintOf(layout), new TableRoute(layout, lanes, this.envelope, this.lanes));
    }
  }

  override accept(changes: RowChanges, acknowledgement: Acknowledgement): void {
    const nowMs = Date.now();
    const { layout } = changes;
    const route = layout === this.newestLayout ? (this.newestRoute as TableRoute) : this.routeOf(layout);
    for (let i = 0; i < changes.count; i++) {
      const change = changeAt(changes, i);
      if (change.op === 'delete') this.pushDelete(route, change, nowMs, acknowledgement);
      else if (change.op === 'update' && keyChanged(change)) this.pushKeyChange(route, change, nowMs, acknowledgement);
      else route.push(change, nowMs, acknowledgement);
    }
    this.accepted += changes.count;
  }

  override flush(): void {
    this.lanes.flush();
  }

  override drain(signal: AbortSignal): Promise<void> {
    return this.lanes.drain(signal);
  }

  override async applyTableChange(change: TableChange): Promise<void> {
    await this.prepareTable(change.layout);
    const { lanes } = this.routeOf(change.layout);
    const value = encodeTableChange(change, this.envelope, Date.now());
    const key = hasKey(change.layout) ? tableChangeKey : null;
    for (let partition = 0; partition < lanes.partitions; partition++)
      this.lanes.push(
        lanes.firstLane + partition,
        createEntry(key, value, changeId(change), changeVersion(change), null),
      );
    await this.lanes.drain(this.closing.signal);
  }

  override status(): SinkStatus {
    return {
      bytesInFlight: this.lanes.bytesInFlight,
      changesInFlight: this.accepted - this.confirmed,
      confirmedChanges: this.confirmed,
      retries: this.lanes.retries,
      rejectedOutsideReplay: 0,
      rejectedInReplay: 0,
      holdingBecause: this.lanes.holdingBecause,
    };
  }

  override async close(): Promise<void> {
    this.stopped = true;
    this.closing.abort();
    this.lanes.close();
    await this.options.client.close();
  }

  private pushDelete(route: TableRoute, change: RowChange, nowMs: number, confirms: MessageEntry['confirms']): void {
    if (this.tombstones && route.keyed) route.pushWithTombstone(change, nowMs, confirms);
    else route.push(change, nowMs, confirms);
  }

  private pushKeyChange(route: TableRoute, change: RowChange, nowMs: number, acknowledgement: Acknowledgement): void {
    const [removal, creation] = splitKeyChange(change);
    const split = new SplitChange(acknowledgement, 2);
    this.pushDelete(route, removal, nowMs, split);
    route.push(creation, nowMs, split);
  }

  private routeOf(layout: TableLayout): TableRoute {
    let route = this.routes.get(layout);
    if (route === undefined) {
      route = this.routesByFingerprint.get(fingerprintOf(layout));
      if (route === undefined)
        throw new DittoError(
          'DITTO_KAFKA_TABLE_NOT_PREPARED',
          `${tableName(layout)} was not prepared before its first change`,
        );
      this.routes.set(layout, route);
    }
    this.newestLayout = layout;
    this.newestRoute = route;
    return route;
  }

  private async prepareTopic(layout: TableLayout, known: TopicLanes | undefined): Promise<TopicLanes> {
    const { topic, partitions, maxMessageBytes } = await this.persist(
      `preparing ${tableName(layout)}`,
      this.closing.signal,
      () => this.preparation.prepare(layout),
    );
    if (known?.partitions === partitions) return known;
    const maxBatchBytes = Math.min(
      this.options.maxBatchBytes ?? defaultMaxBatchBytes,
      maxMessageBytes ?? Number.MAX_SAFE_INTEGER,
    );
    const lanes: TopicLanes = { topic, partitions, firstLane: this.deliveries.length, maxBatchBytes };
    for (let partition = 0; partition < partitions; partition++)
      this.deliveries.push(new LaneDelivery(this.options.client, { topic, partition, maxBatchBytes }));
    return lanes;
  }

  private async deliver(lane: number, entries: readonly MessageEntry[]): Promise<void> {
    await (this.deliveries[lane] as LaneDelivery).deliver(entries);
    if (!this.stopped) this.confirm(entries);
  }

  /** Acknowledges runs of messages with one acknowledgement by one call. */
  private confirm(entries: readonly MessageEntry[]): void {
    let run: Acknowledgement | null = null;
    let count = 0;
    for (const { confirms } of entries) {
      if (confirms === null || (confirms instanceof SplitChange && !confirms.confirmOne())) continue;
      const acknowledgement = confirms instanceof SplitChange ? confirms.acknowledgement : confirms;
      if (acknowledgement !== run) {
        this.acknowledge(run, count);
        run = acknowledgement;
        count = 0;
      }
      count++;
    }
    this.acknowledge(run, count);
  }

  private acknowledge(acknowledgement: Acknowledgement | null, count: number): void {
    if (acknowledgement === null) return;
    this.confirmed += count;
    acknowledgement.acknowledge(count);
  }

  private persist<T>(what: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    return retry(work, {
      backoff: new Backoff(this.options.backoff ?? defaultBackoff),
      signal,
      onRetry: (error, delayMs) =>
        this.options.logger.warn(`${what} failed, trying again`, { error: String(error), delayMs }),
    });
  }

  private fail(error: DittoError): void {
    this.stopped = true;
    this.onFatal?.(error);
  }
}

function tableName({ database, table }: TableLayout): string {
  return `${database}.${table}`;
}

function fingerprintOf(layout: TableLayout): string {
  return `${layout.database}\0${layout.table}\0${layout.fingerprint}`;
}
