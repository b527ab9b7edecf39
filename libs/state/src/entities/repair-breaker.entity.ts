import { Column, Entity, PrimaryColumn } from 'typeorm';
import { asNumber } from './number-column.ts';

/** A table whose repairs were stopped. */
@Entity('repair_breakers')
export class RepairBreakerEntity {
  @PrimaryColumn({ type: 'varchar', length: 128 })
  source!: string;

  @PrimaryColumn({ name: 'database_name', type: 'varchar', length: 64 })
  database!: string;

  @PrimaryColumn({ name: 'table_name', type: 'varchar', length: 64 })
  table!: string;

  @Column({ name: 'opened_at_ms', type: 'bigint', unsigned: true, nullable: true, transformer: asNumber })
  openedAtMs!: number | null;

  @Column({ type: 'int', unsigned: true })
  found!: number;

  @Column({ name: 'closed_at_ms', type: 'bigint', unsigned: true, nullable: true, transformer: asNumber })
  closedAtMs!: number | null;

  @Column({ name: 'closed_by', type: 'varchar', length: 255, nullable: true })
  closedBy!: string | null;
}
