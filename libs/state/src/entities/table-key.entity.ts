import { Column, Entity, PrimaryColumn } from 'typeorm';

/** By which columns the rows of a table have their keys in the sinks. */
@Entity('table_keys')
export class TableKeyEntity {
  @PrimaryColumn({ type: 'varchar', length: 128 })
  source!: string;

  @PrimaryColumn({ name: 'database_name', type: 'varchar', length: 64 })
  database!: string;

  @PrimaryColumn({ name: 'table_name', type: 'varchar', length: 64 })
  table!: string;

  /** As `describeKey` says it. */
  @Column({ name: 'key_columns', type: 'text' })
  key!: string;

  /** The version that the stream was at when rows were first delivered under it. */
  @Column({ type: 'varchar', length: 44 })
  since!: string;
}
