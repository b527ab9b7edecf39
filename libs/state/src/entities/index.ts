import { AuditEntryEntity } from './audit-entry.entity.ts';
import { CheckpointEntity } from './checkpoint.entity.ts';
import { FailedEventEntity } from './failed-event.entity.ts';
import { LineageChangeEntity } from './lineage-change.entity.ts';
import { MismatchEntity } from './mismatch.entity.ts';
import { PastCheckpointEntity } from './past-checkpoint.entity.ts';
import { NoticeEntity } from './notice.entity.ts';
import { RepairBreakerEntity } from './repair-breaker.entity.ts';
import { RepairEntity } from './repair.entity.ts';
import { RequestedReadEntity } from './requested-read.entity.ts';
import { SourceEntity } from './source.entity.ts';
import { TableRecordEntity } from './table-record.entity.ts';
import { TopicEndEntity } from './topic-end.entity.ts';
import { TopicPartitionsEntity } from './topic-partitions.entity.ts';
import { VerificationChunkEntity } from './verification-chunk.entity.ts';
import { VerificationCoverageEntity } from './verification-coverage.entity.ts';
import { VerificationRunEntity } from './verification-run.entity.ts';
import { VerificationTableEntity } from './verification-table.entity.ts';

/** Every entity of the state database. */
export const entities = [
  SourceEntity,
  CheckpointEntity,
  FailedEventEntity,
  LineageChangeEntity,
  PastCheckpointEntity,
  NoticeEntity,
  RepairBreakerEntity,
  RepairEntity,
  RequestedReadEntity,
  TableRecordEntity,
  TopicEndEntity,
  TopicPartitionsEntity,
  AuditEntryEntity,
  VerificationCoverageEntity,
  VerificationRunEntity,
  VerificationTableEntity,
  VerificationChunkEntity,
  MismatchEntity,
];
