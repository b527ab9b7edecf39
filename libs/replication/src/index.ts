export {
  AcknowledgementTracker,
  PendingChanges,
  Slice,
  type ConfirmedPosition,
} from './stream/acknowledgement-tracker.ts';
export { type CascadeOptions } from './statements/cascade-handling.ts';
export { CheckpointSaver, type CheckpointSaverOptions } from './stream/checkpoint-saver.ts';
export { LaneSet, leaseLost, type LaneEntry, type LaneSetOptions } from './stream/lane-set.ts';
export { LatencyWindow, type LatencySummary } from './stream/latency-window.ts';
export { Pipeline, type PipelineOptions, type PipelineStatus } from './stream/pipeline.ts';
export { ChangeSource, type SourceBatch, type SourceItem, type SourceTransaction } from './ports/change-source.ts';
export { ChangeSink, type Acknowledgement, type SinkOpenOptions, type SinkStatus } from './ports/change-sink.ts';
export { CascadeFacts, type CascadingKey, type ReferentialAction } from './ports/cascade-facts.ts';
export { MirroredKeys, type SelectedKeys } from './ports/mirrored-keys.ts';
export {
  type FailedEvent,
  type FailedEventCount,
  type FailedEventFilter,
  type FailedEventState,
  FailedEventStore,
  type ListedFailedEvent,
  type NewFailedEvent,
  type QuarantineChanges,
  type StoredQuarantinedKey,
} from './ports/failed-event-store.ts';
export { Admission, isRead, type QuarantinedKey, QuarantinedKeys } from './ports/quarantined-keys.ts';
export {
  MOST_PAYLOAD_BYTES,
  type RefusedChange,
  RefusedChanges,
  type ShownPayload,
  showPayload,
  showRow,
  StopAtRefusal,
} from './ports/refused-changes.ts';
export { Quarantine, type QuarantineOptions, type QuarantineStatus } from './stream/quarantine.ts';
export {
  RowReader,
  type ChunkRead,
  type ChunkRequest,
  type ImagesChunk,
  type KeysRead,
  type UndecodedChunk,
} from './ports/row-reader.ts';
export {
  type ListedRead,
  type NewRead,
  type NextRead,
  type ReadCounts,
  type ReadListing,
  type ReadPlace,
  type ReadProgress,
  type ReadScope,
  type RequestedRead,
  RequestedReadStore,
} from './ports/requested-read-store.ts';
export { SourceLoad, type LoadSample } from './ports/source-load.ts';
export { type Pace, Pacer, type PacerOptions, type PacerStatus, type Turn } from './pace/pacer.ts';
export { PacedRowReader } from './pace/paced-row-reader.ts';
export { SinkMemory, type VersionBounds } from './ports/sink-memory.ts';
export { type DefiningStatement, TableChecks } from './ports/table-checks.ts';
export {
  CheckpointStore,
  CheckpointTrail,
  ColumnStore,
  LineageStore,
  LogAcceptanceStore,
  type PastCheckpoint,
  type PendingSwitch,
  SwitchStore,
  type PendingResync,
  ResyncStore,
  RewindStore,
  TableStore,
  type AdoptedLayout,
  type CopyState,
  type Grant,
  type TableRecord,
} from './ports/stores.ts';
export { adopt, isCopied, leaveOut, newRecord, planCopy, restartCopy } from './tables/table-record.ts';
export { TableRecords } from './tables/table-records.ts';
export { areReadsUsedUp } from './windows/read-sequences.ts';
export { assumeLayout } from './statements/statement-effects.ts';
export { assertAcceptable, createReadIdTaken, MOST_KEY_BYTES, MOST_KEYS } from './snapshot/accept-read.ts';
export { RequestedReads, type RequestedReadsOptions } from './snapshot/requested-reads.ts';
export {
  WindowedSnapshot,
  type SnapshotCounts,
  type TableSnapshotStatus,
  type WindowedSnapshotOptions,
} from './snapshot/windowed-snapshot.ts';
export { type Window } from './windows/window.ts';
