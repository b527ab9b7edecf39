import { Column, Entity, Index, PrimaryGeneratedColumn } from 'typeorm';
import { type TablePhase } from '#verification';
import { asNumber } from './number-column.ts';

/** A part of a table in one phase of a run. */
@Entity('verification_chunks')
@Index('verification_chunks_number', ['runId', 'database', 'table', 'sink', 'phase', 'number'], { unique: true })
@Index('verification_chunks_due', ['isOpen', 'notBeforeMs'])
export class VerificationChunkEntity {
  @PrimaryGeneratedColumn({ type: 'bigint', unsigned: true })
  id!: string | number;

  @Column({ name: 'run_id', type: 'varchar', length: 36 })
  runId!: string;

  @Column({ name: 'database_name', type: 'varchar', length: 64 })
  database!: string;

  @Column({ name: 'table_name', type: 'varchar', length: 64 })
  table!: string;

  @Column({ type: 'varchar', length: 32 })
  sink!: string;

  @Column({ type: 'varchar', length: 16 })
  phase!: TablePhase;

  @Column({ type: 'int', unsigned: true })
  number!: number;

  @Column({ name: 'after_key', type: 'mediumtext', nullable: true })
  after!: string | null;

  @Column({ name: 'until_key', type: 'mediumtext', nullable: true })
  until!: string | null;

  /** Null while its end is not known. */
  @Column({ name: 'is_last', type: 'boolean', nullable: true })
  isLast!: boolean | null;

  @Column({ name: 'is_open', type: 'boolean', default: true })
  isOpen!: boolean;

  @Column({ type: 'int', unsigned: true, default: 0 })
  attempts!: number;

  /** Who has it, until `notBeforeMs`. */
  @Column({ type: 'varchar', length: 255, nullable: true })
  worker!: string | null;

  @Column({ name: 'not_before_ms', type: 'bigint', unsigned: true, transformer: asNumber })
  notBeforeMs!: number;

  /** Those that were compared: unsettled ones are left out. */
  @Column({ name: 'row_count', type: 'int', unsigned: true, default: 0 })
  rows!: number;

  @Column({ name: 'done_at_ms', type: 'bigint', unsigned: true, nullable: true, transformer: asNumber })
  doneAtMs!: number | null;
}
