import {
  changeId,
  changeVersion,
  compileEnvelopeEncoder,
  compileKeyEncoder,
  type EnvelopeEncoder,
  type EnvelopeOptions,
  hasKey,
  partitionForKey,
  type Row,
  type RowChange,
  type RowEncoder,
  type TableLayout,
} from '#change-events';
import { type Acknowledgement } from '#replication';

import { type KafkaRecord } from './kafka-client.ts';

/** A topic and the lanes of its partitions: lane = `firstLane` + partition. */
export interface TopicLanes {
  readonly topic: string;
  readonly partitions: number;
  readonly firstLane: number;
  /** Upper bound for one record batch of this topic. */
  readonly maxBatchBytes: number;
}

/** Several messages of one change; the last one to be confirmed confirms the change. */
export class SplitChange {
  readonly acknowledgement: Acknowledgement;
  private missing: number;

  constructor(acknowledgement: Acknowledgement, messages: number) {
    this.acknowledgement = acknowledgement;
    this.missing = messages;
  }

  /** Whether that was the last one. */
  confirmOne(): boolean {
    return --this.missing === 0;
  }
}

/** A message on its way, and what its confirmation confirms: null when a later message of the same lane does it. */
export interface MessageEntry extends KafkaRecord {
  readonly bytes: number;
  readonly confirms: Acknowledgement | SplitChange | null;
}

/** Headers' names, lengths and the entry itself; never below what the record adds to key, value and header values. */
const overheadBytes = 96;

export function createEntry(
  key: Buffer | string | null,
  value: string | null,
  id: string,
  version: string,
  confirms: MessageEntry['confirms'],
): MessageEntry {
  // byteLength also flattens the text, which lets go of the pieces that it was put together from.
  const bytes =
    (key?.length ?? 0) + (value === null ? 0 : Buffer.byteLength(value)) + id.length + version.length + overheadBytes;
  return { key, value, headers: { 'ditto.id': id, 'ditto.version': version }, bytes, confirms };
}

export interface LaneSink {
  push(lane: number, entry: MessageEntry): void;
}

/** Encodes the changes of one layout into messages and lanes. */
export class TableRoute {
  readonly lanes: TopicLanes;
  /** Whether rows have a key: without one there are no tombstones and one partition. */
  readonly keyed: boolean;
  private readonly encodeValue: EnvelopeEncoder;
  private readonly encodeKey: RowEncoder | null;
  private readonly sink: LaneSink;

  constructor(layout: TableLayout, lanes: TopicLanes, options: EnvelopeOptions, sink: LaneSink) {
    this.lanes = lanes;
    this.keyed = hasKey(layout);
    this.encodeValue = compileEnvelopeEncoder(layout, options);
    this.encodeKey = this.keyed ? compileKeyEncoder(layout, options) : null;
    this.sink = sink;
  }

  push(change: RowChange, nowMs: number, confirms: MessageEntry['confirms']): void {
    const key = this.keyOf(change);
    this.sink.push(
      this.laneOf(key),
      createEntry(key, this.encodeValue(change, nowMs), changeId(change), changeVersion(change), confirms),
    );
  }

  /** A delete, and the tombstone that lets compaction forget the key. */
  pushWithTombstone(change: RowChange, nowMs: number, confirms: MessageEntry['confirms']): void {
    const key = this.keyOf(change);
    const lane = this.laneOf(key);
    const id = changeId(change);
    const version = changeVersion(change);
    this.sink.push(lane, createEntry(key, this.encodeValue(change, nowMs), id, version, null));
    this.sink.push(lane, createEntry(key, null, id, version, confirms));
  }

  private keyOf(change: RowChange): Buffer | null {
    return this.encodeKey === null ? null : Buffer.from(this.encodeKey((change.after ?? change.before) as Row));
  }

  private laneOf(key: Buffer | null): number {
    return key === null ? this.lanes.firstLane : this.lanes.firstLane + partitionForKey(key, this.lanes.partitions);
  }
}
