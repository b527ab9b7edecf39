import { ApiProperty } from '@nestjs/swagger';

export class RepairDifferenceDto {
  readonly column!: string;
  @ApiProperty({ type: String, nullable: true })
  readonly source!: string | null;
  @ApiProperty({ type: String, nullable: true })
  readonly sink!: string | null;
}

/** What was found wrong. */
export class RepairBeforeDto {
  readonly differences!: RepairDifferenceDto[];
  readonly damage!: string | null;
  /** The version of the document or message. */
  readonly storedVersion!: string | null;
  /** Of what was stored, byte for byte. */
  readonly fingerprint!: string | null;
  /** Of what was stored under no key: its place. */
  readonly shown!: string | null;
}

/** What the sink had when the row was found equal. */
export class RepairAfterDto {
  readonly version!: string | null;
  readonly isDeleted!: boolean;
}

/** A mismatch that is being put right, or was. Times are milliseconds since 1970. */
export class RepairDto {
  readonly id!: string;
  readonly mismatchId!: string;
  readonly source!: string;
  readonly table!: string;
  readonly sink!: string;
  readonly key!: string;
  /** missing, extra, different, damaged, undecodable */
  readonly kind!: string;
  /** planned, reading, verifying, failed (it is tried again), repaired, given up */
  readonly state!: string;
  readonly attempts!: number;
  /** The last read that was asked of DSS. */
  readonly readId!: string | null;
  readonly before!: RepairBeforeDto;
  @ApiProperty({ type: RepairAfterDto, nullable: true })
  readonly after!: RepairAfterDto | null;
  /** Who asked for it; `dws` for what the policy decided. */
  readonly actor!: string;
  /** Why it waits, has failed or was given up. */
  readonly reason!: string | null;
  readonly plannedAtMs!: number;
  readonly nextAtMs!: number;
  readonly endedAtMs!: number | null;
}

export class RepairsDto {
  /** Oldest first. */
  readonly repairs!: RepairDto[];
  /** What to ask for as `after` to have the next page; null at the end. */
  readonly next!: string | null;
}

export class RepairBegunDto {
  /** The mismatch that will be repaired. */
  readonly mismatch!: string;
}

/** A table in which too much was found to differ. */
export class RepairBreakerDto {
  readonly source!: string;
  readonly table!: string;
  /** Null when repairs go on. */
  readonly openedAtMs!: number | null;
  /** Mismatches of the hour before. */
  readonly found!: number;
  readonly closedAtMs!: number | null;
  readonly closedBy!: string | null;
}

export class RepairBreakersDto {
  readonly breakers!: RepairBreakerDto[];
}

export class ResumeOrderDto {
  readonly source!: string;
  /** `database.table` */
  readonly table!: string;
}

export class ResumedDto {
  readonly resumed!: string;
}
