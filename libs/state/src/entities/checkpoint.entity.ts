import { Column, Entity, PrimaryColumn } from 'typeorm';
import { type LoggedTransaction } from '#change-events';
import { asNumber } from './number-column.ts';

/** The durable copy of a source's checkpoint. */
@Entity('checkpoints')
export class CheckpointEntity {
  @PrimaryColumn({ type: 'varchar', length: 128 })
  source!: string;

  /** Fencing token of the pipeline that wrote it. */
  @Column({ type: 'bigint', unsigned: true, transformer: asNumber })
  token!: number;

  @Column({ type: 'int', unsigned: true })
  lineage!: number;

  @Column({ name: 'gtid_set', type: 'longtext' })
  gtidSet!: string;

  @Column({ name: 'dispatched_set', type: 'longtext' })
  dispatchedSet!: string;

  /** Null in a row from before it was kept. */
  @Column({ name: 'undecided_set', type: 'longtext', nullable: true })
  undecidedSet!: string | null;

  @Column({ name: 'log_file', type: 'varchar', length: 512 })
  logFile!: string;

  @Column({ name: 'log_offset', type: 'bigint', unsigned: true, transformer: asNumber })
  logOffset!: number;

  @Column({ name: 'server_uuid', type: 'varchar', length: 64 })
  serverUuid!: string;

  @Column({ type: 'varchar', length: 44 })
  version!: string;

  @Column({ name: 'commit_micros', type: 'bigint', unsigned: true, transformer: asNumber })
  commitMicros!: number;

  @Column({ name: 'saved_at_ms', type: 'bigint', unsigned: true, transformer: asNumber })
  savedAtMs!: number;

  /** `checkpointRank`; '' in a row from before there were ranks. */
  @Column({ name: 'checkpoint_rank', type: 'varchar', length: 80, default: '' })
  rank!: string;

  @Column({ name: 'last_covered', type: 'simple-json', nullable: true })
  lastCovered!: LoggedTransaction | null;

  @Column({ name: 'last_dispatched', type: 'simple-json', nullable: true })
  lastDispatched!: LoggedTransaction | null;
}
