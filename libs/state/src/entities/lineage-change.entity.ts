import { Column, Entity, PrimaryColumn } from 'typeorm';
import { asNumber } from './number-column.ts';

/** Why a source's coordinates stopped being comparable, once per lineage. */
@Entity('lineage_changes')
export class LineageChangeEntity {
  @PrimaryColumn({ type: 'varchar', length: 128 })
  source!: string;

  @PrimaryColumn({ type: 'int', unsigned: true })
  lineage!: number;

  @Column({ type: 'text' })
  reason!: string;

  @Column({ type: 'bigint', unsigned: true, transformer: asNumber })
  token!: number;

  @Column({ name: 'at_ms', type: 'bigint', unsigned: true, transformer: asNumber })
  atMs!: number;
}
