import { Column, Entity, PrimaryColumn } from 'typeorm';
import { type TableHold, type TablePhase } from '#verification';
import { asNumber } from './number-column.ts';

/** A table in a sink, as part of a run. Its row is the lock that every write about its chunks takes. */
@Entity('verification_tables')
export class VerificationTableEntity {
  @PrimaryColumn({ name: 'run_id', type: 'varchar', length: 36 })
  runId!: string;

  @PrimaryColumn({ name: 'database_name', type: 'varchar', length: 64 })
  database!: string;

  @PrimaryColumn({ name: 'table_name', type: 'varchar', length: 64 })
  table!: string;

  @PrimaryColumn({ type: 'varchar', length: 32 })
  sink!: string;

  @Column({ type: 'varchar', length: 16 })
  phase!: TablePhase;

  @Column({ name: 'row_count', type: 'bigint', unsigned: true, default: 0, transformer: asNumber })
  rows!: number;

  @Column({ name: 'equal_count', type: 'bigint', unsigned: true, default: 0, transformer: asNumber })
  equal!: number;

  @Column({ name: 'mismatch_count', type: 'bigint', unsigned: true, default: 0, transformer: asNumber })
  mismatches!: number;

  @Column({ name: 'ignored_count', type: 'bigint', unsigned: true, default: 0, transformer: asNumber })
  ignored!: number;

  @Column({ name: 'unsettled_count', type: 'bigint', unsigned: true, default: 0, transformer: asNumber })
  unsettled!: number;

  @Column({ name: 'quarantined_count', type: 'bigint', unsigned: true, default: 0, transformer: asNumber })
  quarantined!: number;

  @Column({ name: 'second_row_count', type: 'bigint', unsigned: true, default: 0, transformer: asNumber })
  secondRows!: number;

  @Column({ name: 'second_equal_count', type: 'bigint', unsigned: true, default: 0, transformer: asNumber })
  secondEqual!: number;

  @Column({ name: 'second_mismatch_count', type: 'bigint', unsigned: true, default: 0, transformer: asNumber })
  secondMismatches!: number;

  @Column({ name: 'second_ignored_count', type: 'bigint', unsigned: true, default: 0, transformer: asNumber })
  secondIgnored!: number;

  @Column({ name: 'second_unsettled_count', type: 'bigint', unsigned: true, default: 0, transformer: asNumber })
  secondUnsettled!: number;

  @Column({ name: 'second_quarantined_count', type: 'bigint', unsigned: true, default: 0, transformer: asNumber })
  secondQuarantined!: number;

  @Column({ name: 'listed_count', type: 'bigint', unsigned: true, default: 0, transformer: asNumber })
  listed!: number;

  @Column({ name: 'estimated_rows', type: 'bigint', unsigned: true, default: 0, transformer: asNumber })
  estimatedRows!: number;

  @Column({ name: 'key_signature', type: 'text', nullable: true })
  keySignature!: string | null;

  @Column({ type: 'json', nullable: true })
  hold!: TableHold | null;

  @Column({ name: 'started_at_ms', type: 'bigint', unsigned: true, nullable: true, transformer: asNumber })
  startedAtMs!: number | null;

  @Column({ name: 'ended_at_ms', type: 'bigint', unsigned: true, nullable: true, transformer: asNumber })
  endedAtMs!: number | null;
}
