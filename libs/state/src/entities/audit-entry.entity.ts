import { Column, Entity, Index, PrimaryGeneratedColumn } from 'typeorm';
import { asNumber } from './number-column.ts';

/** One operator action or automatic decision. Only ever added to. */
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

  @Column({ type: 'varchar', length: 512 })
  subject!: string;

  @Column({ type: 'json' })
  details!: Readonly<Record<string, unknown>>;
}
