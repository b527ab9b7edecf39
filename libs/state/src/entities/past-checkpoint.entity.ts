import { Column, Entity, PrimaryColumn } from 'typeorm';
import { type LoggedTransaction } from '#change-events';
import { asNumber } from './number-column.ts';

/** A checkpoint that a source had; each slot is overwritten when its time comes round again. */
@Entity('past_checkpoints')
export class PastCheckpointEntity {
  @PrimaryColumn({ type: 'varchar', length: 128 })
  source!: string;

  @PrimaryColumn({ type: 'int', unsigned: true })
  slot!: number;

  @Column({ type: 'int', unsigned: true })
  lineage!: number;

  @Column({ type: 'varchar', length: 44 })
  version!: string;

  @Column({ name: 'gtid_set', type: 'longtext' })
  gtidSet!: string;

  @Column({ name: 'last_covered', type: 'simple-json', nullable: true })
  lastCovered!: LoggedTransaction | null;

  @Column({ name: 'saved_at_ms', type: 'bigint', unsigned: true, transformer: asNumber })
  savedAtMs!: number;
}
