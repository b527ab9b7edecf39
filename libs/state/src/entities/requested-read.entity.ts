import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { type ReadCounts, type ReadProgress, type ReadScope } from '#replication';
import { asNumber } from './number-column.ts';

/** A read that was asked for. */
@Entity('requested_reads')
@Index('requested_reads_open', ['source', 'isOpen', 'acceptedAtMs'])
@Index('requested_reads_ended', ['endedAtMs'])
@Index('requested_reads_accepted', ['source', 'acceptedAtMs', 'id'])
export class RequestedReadEntity {
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id!: string;

  @Column({ type: 'varchar', length: 128 })
  source!: string;

  @Column({ name: 'database_name', type: 'varchar', length: 64 })
  database!: string;

  @Column({ name: 'table_name', type: 'varchar', length: 64 })
  table!: string;

  @Column({ type: 'json' })
  scope!: ReadScope;

  @Column({ name: 'scope_kind', type: 'varchar', length: 16 })
  scopeKind!: ReadScope['kind'];

  /** SHA-256 of table and scope: the keys are not kept once the read has ended. */
  @Column({ name: 'scope_hash', type: 'binary', length: 32 })
  scopeHash!: Buffer;

  /** Of a scope of keys. */
  @Column({ name: 'key_count', type: 'int', unsigned: true, nullable: true })
  keyCount!: number | null;

  @Column({ type: 'varchar', length: 512 })
  reason!: string;

  @Column({ type: 'varchar', length: 255 })
  actor!: string;

  @Column({ type: 'varchar', length: 16 })
  state!: ReadProgress['state'];

  /** Whether it has not ended. */
  @Column({ name: 'is_open', type: 'boolean' })
  isOpen!: boolean;

  @Column({ type: 'json' })
  counts!: ReadCounts;

  @Column({ name: 'confirmed_keys', type: 'int', unsigned: true })
  confirmedKeys!: number;

  @Column({ type: 'json', nullable: true })
  place!: ReadProgress['place'];

  @Column({ name: 'estimated_rows', type: 'bigint', unsigned: true, nullable: true, transformer: asNumber })
  estimatedRows!: number | null;

  @Column({ type: 'json', nullable: true })
  error!: ReadProgress['error'];

  @Column({ name: 'accepted_at_ms', type: 'bigint', unsigned: true, transformer: asNumber })
  acceptedAtMs!: number;

  @Column({ name: 'started_at_ms', type: 'bigint', unsigned: true, nullable: true, transformer: asNumber })
  startedAtMs!: number | null;

  @Column({ name: 'ended_at_ms', type: 'bigint', unsigned: true, nullable: true, transformer: asNumber })
  endedAtMs!: number | null;
}
