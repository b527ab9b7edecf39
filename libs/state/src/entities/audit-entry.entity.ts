import { Column, Entity, Index, PrimaryGeneratedColumn } from 'typeorm';
import { asNumber } from './number-column.ts';

/** One operator action, or one automatic decision with its repetitions. */
@Entity('audit_log')
export class AuditEntryEntity {
  @PrimaryGeneratedColumn({ type: 'bigint', unsigned: true })
  id!: string;

  @Index('audit_log_at')
  @Column({ name: 'at_ms', type: 'bigint', unsigned: true, transformer: asNumber })
  atMs!: number;

  @Column({ type: 'varchar', length: 255 })
  actor!: string;

  @Column({ type: 'varchar', length: 255 })
  action!: string;

  @Index('audit_log_subject')
  @Column({ type: 'varchar', length: 512 })
  subject!: string;

  @Column({ type: 'json' })
  details!: Readonly<Record<string, unknown>>;

  @Column({ type: 'int', unsigned: true, default: 1 })
  repeats!: number;

  /** Null where an older version of Ditto has written beside this one. */
  @Index('audit_log_last_at')
  @Column({ name: 'last_at_ms', type: 'bigint', unsigned: true, nullable: true, transformer: asNumber })
  lastAtMs!: number | null;

  /** The same for repetitions; null for what is recorded one by one. */
  @Index('audit_log_series', { unique: true })
  @Column({ type: 'binary', length: 32, nullable: true })
  series!: Buffer | null;
}
