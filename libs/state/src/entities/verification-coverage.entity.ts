import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { asNumber } from './number-column.ts';

/** The run that has compared a table in a sink last as a whole. What is recorded of it there stays. */
@Entity('verification_coverage')
@Index('verification_coverage_by_run', ['runId', 'database', 'table', 'sink'])
export class VerificationCoverageEntity {
  @PrimaryColumn({ type: 'varchar', length: 128 })
  source!: string;

  @PrimaryColumn({ name: 'database_name', type: 'varchar', length: 64 })
  database!: string;

  @PrimaryColumn({ name: 'table_name', type: 'varchar', length: 64 })
  table!: string;

  @PrimaryColumn({ type: 'varchar', length: 32 })
  sink!: string;

  @Column({ name: 'run_id', type: 'varchar', length: 36 })
  runId!: string;

  @Column({ name: 'started_at_ms', type: 'bigint', unsigned: true, transformer: asNumber })
  startedAtMs!: number;
}
