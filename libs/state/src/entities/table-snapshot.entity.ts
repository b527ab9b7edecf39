import { Column, Entity, PrimaryColumn } from 'typeorm';
import { type TableSnapshotState } from '#replication';
import { asNumber } from './number-column.ts';

/** How far the snapshot of one table has come. */
@Entity('table_snapshots')
export class TableSnapshotEntity {
  @PrimaryColumn({ type: 'varchar', length: 128 })
  source!: string;

  @PrimaryColumn({ name: 'database_name', type: 'varchar', length: 64 })
  database!: string;

  @PrimaryColumn({ name: 'table_name', type: 'varchar', length: 64 })
  table!: string;

  @Column({ type: 'varchar', length: 16 })
  state!: TableSnapshotState;

  @Column({ name: 'last_key', type: 'mediumtext', nullable: true })
  lastKey!: string | null;

  @Column({ name: 'rows_read', type: 'bigint', unsigned: true, transformer: asNumber })
  rowsRead!: number;

  @Column({ name: 'estimated_rows', type: 'bigint', unsigned: true, transformer: asNumber })
  estimatedRows!: number;

  @Column({ type: 'text', nullable: true })
  reason!: string | null;

  @Column({ name: 'ends_below', type: 'varchar', length: 44, nullable: true })
  endsBelow!: string | null;

  @Column({ name: 'asked_again', type: 'boolean', default: false })
  again!: boolean;
}
