export {
  type AuditEntry,
  type AuditFilter,
  type AuditPage,
  type RecordedAuditEntry,
  StateAuditLog,
} from './state-audit-log.ts';
export { StateCheckpointStore, StateCheckpointTrail } from './state-checkpoint-store.ts';
export { StateColumnStore } from './state-column-store.ts';
export { StateDatabase, type StateDatabaseOptions } from './state-database.ts';
export { type DueWork, StateDueWork } from './state-due-work.ts';
export { createFencedError } from './state-error.ts';
export { StateFailedEventStore } from './state-failed-event-store.ts';
export { StateHistory } from './state-history.ts';
export { StateFencing } from './state-fencing.ts';
export { type LineageChange, StateLineageStore } from './state-lineage-store.ts';
export { StateLogAcceptanceStore } from './state-log-acceptance-store.ts';
export { type Placement, StatePlacementStore } from './state-placement-store.ts';
export { StateMismatchStore } from './state-mismatch-store.ts';
export { type AddedNotice, type DueNotice, StateNoticeStore } from './state-notice-store.ts';
export { StateRepairStore } from './state-repair-store.ts';
export { StateRequestedReadStore } from './state-requested-read-store.ts';
export { StateResyncStore } from './state-resync-store.ts';
export { StateRewindStore } from './state-rewind-store.ts';
export { StateSwitchStore } from './state-switch-store.ts';
export { StateTableStore } from './state-table-store.ts';
export { StateVerificationRunStore } from './state-verification-run-store.ts';
export { type TopicEnd, TopicEndStore, type TopicLoss } from './topic-end-store.ts';
export { TopicPartitionStore } from './topic-partition-store.ts';
export { checkStateDatabase, type StateCheck } from './state-check.ts';
