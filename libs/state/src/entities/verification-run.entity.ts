import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { type RunError, type RunScope, type RunState, type RunTrigger } from '#verification';
import { asNumber } from './number-column.ts';

/** One run of verification. */
@Entity('verification_runs')
@Index('verification_runs_by_source', ['source', 'createdAtMs'])
@Index('verification_runs_ended', ['endedAtMs'])
@Index('verification_runs_by_state', ['state', 'createdAtMs'])
export class VerificationRunEntity {
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id!: string;

  @Column({ type: 'varchar', length: 128 })
  source!: string;

  @Column({ type: 'json' })
  scope!: RunScope;

  @Column({ type: 'json' })
  sinks!: readonly string[];

  @Column({ name: 'trigger_name', type: 'varchar', length: 16 })
  trigger!: RunTrigger;

  @Column({ type: 'varchar', length: 255 })
  actor!: string;

  @Column({ name: 'rows_per_second', type: 'int', unsigned: true, nullable: true })
  rowsPerSecond!: number | null;

  @Column({ name: 'second_way_share', type: 'double', default: 0 })
  secondWayShare!: number;

  @Column({ type: 'varchar', length: 16 })
  state!: RunState;

  @Column({ type: 'json', nullable: true })
  error!: RunError | null;

  /** Until then the rate of the run is used up. */
  @Column({ name: 'paced_until_ms', type: 'bigint', unsigned: true, transformer: asNumber })
  pacedUntilMs!: number;

  /** Tables, in each sink, that have not ended. */
  @Column({ name: 'open_tables', type: 'int', unsigned: true })
  openTables!: number;

  /** Those that ended otherwise than by a failure. */
  @Column({ name: 'judged_tables', type: 'int', unsigned: true, default: 0 })
  judgedTables!: number;

  @Column({ name: 'created_at_ms', type: 'bigint', unsigned: true, transformer: asNumber })
  createdAtMs!: number;

  @Column({ name: 'ended_at_ms', type: 'bigint', unsigned: true, nullable: true, transformer: asNumber })
  endedAtMs!: number | null;
}
