import { Column, Entity, PrimaryColumn } from 'typeorm';
import { asNumber } from './number-column.ts';

/** The partition count that a topic's keys are spread by. */
@Entity('topic_partitions')
export class TopicPartitionsEntity {
  @PrimaryColumn({ type: 'varchar', length: 249 })
  topic!: string;

  @Column({ type: 'int', unsigned: true })
  partitions!: number;

  @Column({ name: 'at_ms', type: 'bigint', unsigned: true, transformer: asNumber })
  atMs!: number;
}
