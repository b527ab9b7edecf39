import { Column, Entity, Index, PrimaryGeneratedColumn } from 'typeorm';
import { type FailedEventState } from '#replication';
import { asNumber } from './number-column.ts';

/** A row that a sink lacks, or lacked, since it refused a change of it. */
@Entity('failed_events')
@Index('failed_events_by_table', ['source', 'sink', 'database', 'table', 'state'])
@Index('failed_events_due', ['source', 'state', 'nextRetryMs'])
@Index('failed_events_ended', ['endedAtMs'])
export class FailedEventEntity {
  @PrimaryGeneratedColumn({ type: 'bigint', unsigned: true })
  id!: number | string;

  @Column({ type: 'varchar', length: 128 })
  source!: string;

  @Column({ type: 'varchar', length: 32 })
  sink!: string;

  @Column({ name: 'database_name', type: 'varchar', length: 64 })
  database!: string;

  @Column({ name: 'table_name', type: 'varchar', length: 64 })
  table!: string;

  @Column({ name: 'key_text', type: 'mediumtext' })
  key!: string;

  /** Of source, sink, table and key: the row has one record. */
  @Index('failed_events_of_row', { unique: true })
  @Column({ name: 'key_hash', type: 'binary', length: 32 })
  keyHash!: Buffer;

  @Column({ type: 'varchar', length: 16 })
  state!: FailedEventState;

  @Column({ type: 'varchar', length: 64 })
  code!: string;

  @Column({ type: 'text' })
  message!: string;

  @Column({ name: 'change_id', type: 'varchar', length: 512 })
  changeId!: string;

  @Column({ type: 'char', length: 44 })
  version!: string;

  /** From the change of this version on the sink may lack changes of the row. */
  @Column({ name: 'first_version', type: 'char', length: 44 })
  firstVersion!: string;

  /** Of the change that it has taken; null while it is in the quarantine. */
  @Column({ name: 'end_version', type: 'char', length: 44, nullable: true })
  endVersion!: string | null;

  @Column({ type: 'varchar', length: 128, nullable: true })
  gtid!: string | null;

  @Column({ name: 'log_file', type: 'varchar', length: 255 })
  file!: string;

  @Column({ name: 'log_offset', type: 'bigint', unsigned: true, transformer: asNumber })
  offset!: number;

  /** The beginning of the row's JSON text. */
  @Column({ type: 'mediumtext', nullable: true })
  payload!: string | null;

  /** Of the whole text. */
  @Column({ name: 'payload_bytes', type: 'bigint', unsigned: true, nullable: true, transformer: asNumber })
  payloadBytes!: number | null;

  @Column({ type: 'int', unsigned: true })
  attempts!: number;

  @Column({ name: 'later_changes', type: 'bigint', unsigned: true, transformer: asNumber })
  laterChanges!: number;

  @Column({ name: 'first_failed_ms', type: 'bigint', unsigned: true, transformer: asNumber })
  firstFailedMs!: number;

  @Column({ name: 'last_failed_ms', type: 'bigint', unsigned: true, transformer: asNumber })
  lastFailedMs!: number;

  @Column({ name: 'last_change_ms', type: 'bigint', unsigned: true, nullable: true, transformer: asNumber })
  lastChangeMs!: number | null;

  @Column({ name: 'next_retry_ms', type: 'bigint', unsigned: true, nullable: true, transformer: asNumber })
  nextRetryMs!: number | null;

  @Column({ name: 'read_id', type: 'varchar', length: 36, nullable: true })
  readId!: string | null;

  @Column({ type: 'varchar', length: 512, nullable: true })
  reason!: string | null;

  @Column({ type: 'varchar', length: 255, nullable: true })
  actor!: string | null;

  @Column({ name: 'ended_at_ms', type: 'bigint', unsigned: true, nullable: true, transformer: asNumber })
  endedAtMs!: number | null;
}
