import { type Cause } from '#verification';

/** In each part: `unavailable` says why it could not be had; then the rest of the part is null or empty. */

/** The row in MySQL now. */
export class ExplainedRowDto {
  readonly unavailable!: string | null;
  readonly exists!: boolean | null;
  /** As in the messages of Kafka; null where there is no row, and where it was left out because of its size. */
  readonly value!: unknown;
  /** Size of a value that was left out; else 0. */
  readonly omittedBytes!: number;
  /** All that the server had executed when it was read. */
  readonly gtidSet!: string | null;
}

export class ExplainedDifferenceDto {
  readonly column!: string;
  readonly source!: string | null;
  readonly sink!: string | null;
}

/** The document in MongoDB now. */
export class ExplainedDocumentDto {
  readonly unavailable!: string | null;
  readonly state!: 'stored' | 'deleted' | 'absent' | null;
  readonly version!: string | null;
  readonly gtid!: string | null;
  /** Why Ditto can't have written it. */
  readonly damage!: string | null;
  /** What it is compared to the row: `equal`, or the kind of the mismatch; null where one of them could not be read. */
  readonly comparison!: string | null;
  readonly differences!: ExplainedDifferenceDto[];
  readonly value!: unknown;
  /** Size of a value that was left out; else 0. */
  readonly omittedBytes!: number;
}

export class ExplainedMessageDto {
  readonly partition!: number;
  readonly offset!: number;
  /** Milliseconds since 1970. */
  readonly publishedMs!: number;
  readonly id!: string;
  readonly version!: string | null;
  /** `c`, `u`, `d`, `r` or `t`; null for the empty message after a delete. */
  readonly op!: string | null;
  readonly value!: unknown;
  /** Size of a value that was left out; else 0. */
  readonly omittedBytes!: number;
}

/** The last messages of the key in its topic, newest first. */
export class ExplainedMessagesDto {
  readonly unavailable!: string | null;
  readonly topic!: string | null;
  /** False when older messages were not looked at. */
  readonly complete!: boolean | null;
  readonly messages!: ExplainedMessageDto[];
}

export class RecentChangeDto {
  readonly op!: string;
  readonly id!: string;
  readonly version!: string;
  readonly gtid!: string | null;
  /** Milliseconds since 1970. */
  readonly commitMs!: number;
  /** Milliseconds since 1970. */
  readonly publishedMs!: number;
  readonly topic!: string;
  readonly partition!: number;
  readonly offset!: number;
}

/** The last changes of the key in the window of DCS, newest first. */
export class RecentChangesDto {
  readonly unavailable!: string | null;
  /** False when changes may be missing among them. */
  readonly complete!: boolean | null;
  readonly changes!: RecentChangeDto[];
}

export class LoggedChangeDto {
  readonly op!: 'create' | 'update' | 'delete';
  readonly version!: string;
  readonly gtid!: string | null;
  readonly serverUuid!: string;
  readonly file!: string;
  /** Where its transaction begins. */
  readonly offset!: number;
  /** Index of the row in its transaction. */
  readonly row!: number;
  /** Microseconds since 1970. */
  readonly commitMicros!: number;
  /** The row that it left; null after a delete, and where it was left out because of its size. */
  readonly value!: unknown;
  /** Size of a value that was left out; else 0. */
  readonly omittedBytes!: number;
}

export class LogPlaceDto {
  readonly file!: string;
  readonly offset!: number;
}

/** What the binary log has of the key, from the place of the document's version on. */
export class ExplainedLogDto {
  readonly unavailable!: string | null;
  readonly from!: LogPlaceDto | null;
  /** Up to where it was read. */
  readonly to!: LogPlaceDto | null;
  readonly bytes!: number;
  /** Why that is before the end of the log; null when it is not. */
  readonly cutBecause!: string | null;
  /** The change that the document's version names; null where that is not in the log, as for what a read found. */
  readonly named!: LoggedChangeDto | null;
  /** Whether the document is what that change has left; null where it could not be compared. */
  readonly isAsNamed!: boolean | null;
  /** How many changes of the key come after the document. */
  readonly newer!: number;
  /** The first ones of them, oldest first. */
  readonly changes!: LoggedChangeDto[];
}

/** What DSS has recorded. */
export class ExplainedTableDto {
  readonly unavailable!: string | null;
  /** `yes`: the sinks have all rows of the table; `unseen`: DSS has not come to it yet. */
  readonly copied!: 'yes' | 'no' | 'never' | 'unseen' | null;
  readonly generation!: number | null;
  /** Columns of the sinks' rows. */
  readonly columns!: string[];
  /** Columns of the key, in its order. */
  readonly key!: string[];
  /** The option `excludeColumns` of the source. */
  readonly excludeColumns!: string[];
}

export class ExplainedCheckpointDto {
  readonly unavailable!: string | null;
  readonly version!: string | null;
  readonly gtidSet!: string | null;
}

export class ExplainedReadDto {
  readonly id!: string;
  readonly state!: string;
  readonly reason!: string;
  readonly actor!: string;
  readonly acceptedAtMs!: number;
}

/** Reads of the key, or of the whole table, that were asked for and have not ended. */
export class ExplainedReadsDto {
  readonly unavailable!: string | null;
  readonly reads!: ExplainedReadDto[];
}

export class ExplainedRepairDto {
  readonly id!: string;
  readonly state!: string;
  /** How often the row was read again. */
  readonly attempts!: number;
  readonly actor!: string;
  readonly reason!: string | null;
  /** Milliseconds since 1970. */
  readonly plannedAtMs!: number;
  /** Milliseconds since 1970; null while it is under way. */
  readonly endedAtMs!: number | null;
}

export class ExplainedMismatchDto {
  readonly id!: string;
  readonly sink!: string;
  readonly kind!: string;
  readonly state!: string;
  readonly reason!: string | null;
  /** Milliseconds since 1970. */
  readonly firstSeenMs!: number;
  /** Milliseconds since 1970. */
  readonly lastSeenMs!: number;
  /** Oldest first. */
  readonly repairs!: ExplainedRepairDto[];
}

/** What verifications have found of the key, oldest first. */
export class ExplainedMismatchesDto {
  readonly unavailable!: string | null;
  readonly mismatches!: ExplainedMismatchDto[];
}

export class ExplainedFailedEventDto {
  readonly id!: string;
  readonly sink!: string;
  readonly state!: string;
  readonly code!: string;
  readonly message!: string;
  readonly attempts!: number;
  readonly laterChanges!: number;
  /** Milliseconds since 1970. */
  readonly firstFailedMs!: number;
  /** Milliseconds since 1970. */
  readonly lastFailedMs!: number;
  /** Why it was discarded. */
  readonly reason!: string | null;
}

/** Whether a sink has refused the row. */
export class ExplainedFailedEventsDto {
  readonly unavailable!: string | null;
  readonly failedEvents!: ExplainedFailedEventDto[];
}

export class ExplanationDto {
  readonly source!: string;
  /** `database.table` */
  readonly table!: string;
  readonly key!: unknown;
  /** Why the document is not the row, only where that is proven. */
  readonly cause!: Cause;
  /** A sentence for people. */
  readonly because!: string;
  readonly recorded!: ExplainedTableDto;
  readonly checkpoint!: ExplainedCheckpointDto;
  readonly row!: ExplainedRowDto;
  readonly document!: ExplainedDocumentDto;
  readonly messages!: ExplainedMessagesDto;
  readonly recent!: RecentChangesDto;
  readonly log!: ExplainedLogDto;
  readonly reads!: ExplainedReadsDto;
  readonly mismatches!: ExplainedMismatchesDto;
  readonly failedEvents!: ExplainedFailedEventsDto;
}
