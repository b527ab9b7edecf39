export { type AuditEntry, type RecordedAuditEntry, StateAuditLog } from './state-audit-log.ts';
export { StateCheckpointStore, type StoredCheckpoint } from './state-checkpoint-store.ts';
export { StateDatabase, type StateDatabaseOptions } from './state-database.ts';
export { createFencedError } from './state-error.ts';
export { StateFencing } from './state-fencing.ts';
export { type LineageChange, StateLineageStore } from './state-lineage-store.ts';
export { StateSnapshotStore } from './state-snapshot-store.ts';
export { TopicPartitionStore } from './topic-partition-store.ts';
export { checkStateDatabase, type StateCheck } from './state-check.ts';
