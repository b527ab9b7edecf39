import { ApiProperty } from '@nestjs/swagger';

/** The beginning of what was refused. */
export class FailedPayloadDto {
  /** JSON text; its beginning where it is cut. */
  readonly text!: string;
  /** Of the whole text. */
  readonly bytes!: number;
  readonly isCut!: boolean;
}

/** A row that a sink lacks, or lacked, since it refused a change of it. Times are milliseconds since 1970. */
export class FailedEventDto {
  readonly id!: string;
  readonly source!: string;
  readonly sink!: string;
  /** `database.table` */
  readonly table!: string;
  /** JSON array of the key's values. */
  readonly key!: string;
  /**
   * open: its changes are held back, and it is tried again; discarded: its next change is delivered; delivered: the sink
   * has it; ended: its table was dropped or truncated.
   */
  readonly state!: string;
  /** Of the last refusal. */
  readonly code!: string;
  readonly message!: string;
  /** `ditto.id` of the change that was refused last. */
  readonly changeId!: string;
  readonly version!: string;
  readonly gtid!: string | null;
  /** Where its transaction is in the log. */
  readonly file!: string;
  readonly offset!: number;
  /** How often it was tried to deliver the row: the first time, and each retry. */
  readonly attempts!: number;
  /** Changes that were held back since; after a crash it may be too few. */
  readonly laterChanges!: number;
  readonly firstFailedMs!: number;
  readonly lastFailedMs!: number;
  /** Of the last change that was held back. */
  readonly lastChangeMs!: number | null;
  readonly nextRetryMs!: number | null;
  /** The last read that was asked of DSS. */
  readonly readId!: string | null;
  /** Why it was discarded, and by whom. */
  readonly reason!: string | null;
  readonly actor!: string | null;
  readonly endedAtMs!: number | null;
}

export class WholeFailedEventDto extends FailedEventDto {
  /** Null for a delete. */
  @ApiProperty({ type: FailedPayloadDto, nullable: true })
  readonly payload!: FailedPayloadDto | null;
}

export class FailedEventsDto {
  /** Oldest first. */
  readonly failedEvents!: FailedEventDto[];
  /** What to ask for as `after` to have the next page; null at the end. */
  readonly next!: string | null;
}

/** Which failed events are tried again: those with these ids, or all open ones that fit. */
export class RetryOrderDto {
  readonly ids?: string[];
  readonly source?: string;
  /** `database.table` */
  readonly table?: string;
  readonly sink?: string;
}

export class RetriedDto {
  readonly retried!: number;
  /** The reads that DSS executes (`GET /sources/:source/reads/:id`). */
  readonly reads!: string[];
}

export class DiscardDto {
  readonly reason!: string;
}
