import { Column, Entity, Index, PrimaryGeneratedColumn } from 'typeorm';
import { type MismatchDetails, type MismatchKind, type RepairOutcome, type RepairState } from '#verification';
import { asNumber } from './number-column.ts';

/** A mismatch that is being put right, or was. */
@Entity('repairs')
@Index('repairs_due', ['source', 'state', 'nextAtMs'])
@Index('repairs_by_table', ['source', 'database', 'table', 'actor', 'plannedAtMs'])
@Index('repairs_ended', ['endedAtMs'])
@Index('repairs_by_read', ['readId'])
@Index('repairs_by_mismatch', ['mismatchId'])
export class RepairEntity {
  @PrimaryGeneratedColumn({ type: 'bigint', unsigned: true })
  id!: number | string;

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

  @Column({ name: 'mismatch_id', type: 'bigint', unsigned: true })
  mismatchId!: number | string;

  /** The mismatch, while this has not ended: it has one repair at a time. */
  @Index('repairs_under_way', { unique: true })
  @Column({ name: 'under_way', type: 'bigint', unsigned: true, nullable: true })
  underWay!: string | null;

  @Column({ type: 'varchar', length: 16 })
  kind!: MismatchKind;

  @Column({ type: 'varchar', length: 16 })
  state!: RepairState;

  @Column({ type: 'int', unsigned: true })
  attempts!: number;

  @Column({ name: 'read_id', type: 'varchar', length: 36, nullable: true })
  readId!: string | null;

  @Column({ name: 'seen_before', type: 'json' })
  before!: MismatchDetails;

  @Column({ name: 'seen_after', type: 'json', nullable: true })
  after!: RepairOutcome | null;

  @Column({ type: 'varchar', length: 255 })
  actor!: string;

  @Column({ type: 'varchar', length: 512, nullable: true })
  reason!: string | null;

  @Column({ name: 'planned_at_ms', type: 'bigint', unsigned: true, transformer: asNumber })
  plannedAtMs!: number;

  @Column({ name: 'next_at_ms', type: 'bigint', unsigned: true, transformer: asNumber })
  nextAtMs!: number;

  @Column({ name: 'ended_at_ms', type: 'bigint', unsigned: true, nullable: true, transformer: asNumber })
  endedAtMs!: number | null;
}
