import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { asNumber } from './number-column.ts';

/** What a webhook is to be told, or was told. */
@Entity('notices')
@Index('notices_due', ['nextAtMs'])
@Index('notices_due_of', ['webhook', 'nextAtMs'])
@Index('notices_ended', ['endedAtMs'])
export class NoticeEntity {
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id!: string;

  @Column({ type: 'varchar', length: 64 })
  webhook!: string;

  @Column({ type: 'varchar', length: 64 })
  event!: string;

  @Column({ type: 'varchar', length: 128 })
  source!: string;

  /** As it is sent: its signature is of these bytes. */
  @Column({ type: 'mediumtext' })
  body!: string;

  /** SHA-256 of webhook, event and what makes it one notice; null for one of its own. */
  @Index('notices_unique', { unique: true })
  @Column({ name: 'unique_hash', type: 'binary', length: 32, nullable: true })
  uniqueHash!: Buffer | null;

  @Column({ name: 'created_at_ms', type: 'bigint', unsigned: true, transformer: asNumber })
  createdAtMs!: number;

  @Column({ type: 'int', unsigned: true, default: 0 })
  attempts!: number;

  /** Null when it has ended. */
  @Column({ name: 'next_at_ms', type: 'bigint', unsigned: true, nullable: true, transformer: asNumber })
  nextAtMs!: number | null;

  /** When it was delivered or given up. */
  @Column({ name: 'ended_at_ms', type: 'bigint', unsigned: true, nullable: true, transformer: asNumber })
  endedAtMs!: number | null;

  @Column({ name: 'last_error', type: 'varchar', length: 512, nullable: true })
  lastError!: string | null;
}
