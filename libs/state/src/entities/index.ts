import { AuditEntryEntity } from './audit-entry.entity.ts';
import { CheckpointEntity } from './checkpoint.entity.ts';
import { LineageChangeEntity } from './lineage-change.entity.ts';
import { RequestedReadEntity } from './requested-read.entity.ts';
import { SourceEntity } from './source.entity.ts';
import { TableRecordEntity } from './table-record.entity.ts';
import { TopicEndEntity } from './topic-end.entity.ts';
import { TopicPartitionsEntity } from './topic-partitions.entity.ts';

/** Every entity of the state database. */
export const entities = [
  SourceEntity,
  CheckpointEntity,
  LineageChangeEntity,
  RequestedReadEntity,
  TableRecordEntity,
  TopicEndEntity,
  TopicPartitionsEntity,
  AuditEntryEntity,
];
