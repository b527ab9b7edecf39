import { Column, Entity, PrimaryColumn } from 'typeorm';
import { asNumber } from './number-column.ts';

/** How far a partition was confirmed, and what it has lost of that. */
@Entity('topic_ends')
export class TopicEndEntity {
  @PrimaryColumn({ type: 'varchar', length: 128 })
  source!: string;

  @PrimaryColumn({ type: 'varchar', length: 249 })
  topic!: string;

  @PrimaryColumn({ name: 'partition_number', type: 'int', unsigned: true })
  partition!: number;

  /** Offset after the last confirmed message. */
  @Column({ name: 'confirmed_end', type: 'bigint', unsigned: true, transformer: asNumber })
  confirmedEnd!: number;

  /** Set when confirmed messages were lost: those below were not. */
  @Column({ name: 'surviving_end', type: 'bigint', unsigned: true, nullable: true, transformer: asNumber })
  survivingEnd!: number | null;
}
