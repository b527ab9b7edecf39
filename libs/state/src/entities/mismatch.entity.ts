import { Column, Entity, Index, PrimaryGeneratedColumn } from 'typeorm';
import { type MismatchDetails, type MismatchKind, type MismatchState } from '#verification';
import { asNumber } from './number-column.ts';

/** A row that differs, or differed, in a sink. */
@Entity('mismatches')
@Index('mismatches_by_table', ['source', 'database', 'table', 'sink', 'state'])
@Index('mismatches_by_state', ['state', 'changedAtMs'])
@Index('mismatches_by_first_seen', ['source', 'database', 'table', 'firstSeenMs'])
@Index('mismatches_by_run', ['runId', 'id'])
@Index('mismatches_open', ['source', 'state', 'kind'])
export class MismatchEntity {
  @PrimaryGeneratedColumn({ type: 'bigint', unsigned: true })
  id!: string | number;

  @Column({ type: 'varchar', length: 128 })
  source!: string;

  @Column({ name: 'database_name', type: 'varchar', length: 64 })
  database!: string;

  @Column({ name: 'table_name', type: 'varchar', length: 64 })
  table!: string;

  @Column({ type: 'varchar', length: 32 })
  sink!: string;

  @Column({ name: 'key_text', type: 'mediumtext' })
  key!: string;

  @Column({ name: 'is_key', type: 'boolean' })
  isKey!: boolean;

  /** Of source, table, sink and key, while it was not found equal; then null, and the next one of this key is another. */
  @Index('mismatches_current', { unique: true })
  @Column({ name: 'current_hash', type: 'binary', length: 32, nullable: true })
  currentHash!: Buffer | null;

  @Column({ type: 'varchar', length: 16 })
  kind!: MismatchKind;

  @Column({ type: 'json' })
  details!: MismatchDetails;

  @Column({ type: 'varchar', length: 16 })
  state!: MismatchState;

  @Column({ type: 'varchar', length: 512, nullable: true })
  reason!: string | null;

  @Column({ type: 'varchar', length: 255, nullable: true })
  actor!: string | null;

  @Column({ name: 'run_id', type: 'varchar', length: 36, nullable: true })
  runId!: string | null;

  @Column({ name: 'first_seen_ms', type: 'bigint', unsigned: true, transformer: asNumber })
  firstSeenMs!: number;

  @Column({ name: 'last_seen_ms', type: 'bigint', unsigned: true, transformer: asNumber })
  lastSeenMs!: number;

  @Column({ name: 'times_seen', type: 'int', unsigned: true })
  timesSeen!: number;

  @Column({ name: 'changed_at_ms', type: 'bigint', unsigned: true, transformer: asNumber })
  changedAtMs!: number;
}
