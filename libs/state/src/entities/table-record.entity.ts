import { Column, Entity, PrimaryColumn } from 'typeorm';
import { type AdoptedLayout, type CopyState } from '#replication';
import { asNumber } from './number-column.ts';

/** What is durable of one table of a source. */
@Entity('table_records')
export class TableRecordEntity {
  @PrimaryColumn({ type: 'varchar', length: 128 })
  source!: string;

  @PrimaryColumn({ name: 'database_name', type: 'varchar', length: 64 })
  database!: string;

  @PrimaryColumn({ name: 'table_name', type: 'varchar', length: 64 })
  table!: string;

  @Column({ name: 'estimated_rows', type: 'bigint', unsigned: true, transformer: asNumber })
  estimatedRows!: number;

  @Column({ type: 'json' })
  copy!: CopyState;

  @Column({ type: 'bigint', unsigned: true, transformer: asNumber })
  generation!: number;

  @Column({ type: 'json', nullable: true })
  adopted!: AdoptedLayout | null;
}
