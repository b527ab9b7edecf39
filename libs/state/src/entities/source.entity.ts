import { Column, Entity, PrimaryColumn } from 'typeorm';
import { asNumber } from './number-column.ts';

/** What is true of a source, whichever process runs it. Its row is the lock that every guarded write takes. */
@Entity('sources')
export class SourceEntity {
  @PrimaryColumn({ type: 'varchar', length: 128 })
  name!: string;

  /** Newest fencing token; grows with each grant. */
  @Column({ type: 'bigint', unsigned: true, default: 0, transformer: asNumber })
  token!: number;

  /** Whom the newest token was given to. */
  @Column({ type: 'varchar', length: 255, nullable: true })
  owner!: string | null;

  @Column({ name: 'granted_at_ms', type: 'bigint', unsigned: true, default: 0, transformer: asNumber })
  grantedAtMs!: number;

  @Column({ type: 'int', unsigned: true, default: 0 })
  lineage!: number;

  /** Numbers of reads up to this one may be in use in the current lineage. */
  @Column({ name: 'read_sequence', type: 'int', unsigned: true, default: 0 })
  readSequence!: number;

  @Column({ name: 'first_seen_ms', type: 'bigint', unsigned: true, default: 0, transformer: asNumber })
  firstSeenMs!: number;

  /** Who asked for the resync that is not finished; null when none is. */
  @Column({ name: 'resync_pending', type: 'varchar', length: 255, nullable: true })
  resyncPending!: string | null;

  /** Who accepted a log that can't be proven, for the next start; null when nobody has. */
  @Column({ name: 'log_accepted_by', type: 'varchar', length: 255, nullable: true })
  logAcceptedBy!: string | null;

  /** Who asked for the rewind that is not finished; null when none is. */
  @Column({ name: 'rewind_pending', type: 'varchar', length: 255, nullable: true })
  rewindPending!: string | null;

  /** The endpoint (`host:port`) that somebody asked to switch to; null when nobody has. */
  @Column({ name: 'switch_to', type: 'varchar', length: 300, nullable: true })
  switchTo!: string | null;

  /** GTIDs that the server of that switch need not have, since they are lost for good; null for none. */
  @Column({ name: 'switch_gives_up', type: 'longtext', nullable: true })
  switchGivesUp!: string | null;

  /** Who asked for that switch; null where Ditto itself decided it. */
  @Column({ name: 'switch_asked_by', type: 'varchar', length: 255, nullable: true })
  switchAskedBy!: string | null;

  /** The instance of DSS that somebody wants to run it; null when it may be any. */
  @Column({ name: 'placed_on', type: 'varchar', length: 255, nullable: true })
  placedOn!: string | null;

  /** Who placed it there. */
  @Column({ name: 'placed_by', type: 'varchar', length: 255, nullable: true })
  placedBy!: string | null;

  /** How often it was placed. */
  @Column({ name: 'placements', type: 'int', unsigned: true, default: 0 })
  placements!: number;

  /** Patterns of the columns that the rows in the sinks are made without; null before any were kept. */
  @Column({ name: 'excluded_columns', type: 'json', nullable: true })
  excludedColumns!: string[] | null;
}
