import { RowScopeDto } from '#platform';
import { type RunScope } from '#verification';

export class VerificationOrderDto extends RowScopeDto {
  /** A UUID of the caller's: a request that is sent twice begins one run. */
  readonly id?: string;
  readonly source!: string;
  /** `database.table`, a name with a point in backquotes; all tables when left out. Exactly one for some rows of it. */
  readonly tables?: string[];
  /** All sinks of the source that can be verified when left out. */
  readonly sinks?: string[];
  /** Most rows per second, of all workers together. */
  readonly rowsPerSecond?: number;
  /** Share of the rows, from 0 to 1, that are compared the second way too; `verification.secondWayShare` when left out. */
  readonly secondWayShare?: number;
}

export class HoldDto {
  readonly state!: 'waiting' | 'being re-read' | 'not verifiable' | 'failed';
  readonly reason!: string;
  readonly sinceMs!: number;
}

/** Rows that were compared the second way too, a sample of all. */
export class SecondWayDto {
  readonly rows!: number;
  /** Also those that the first way has found to differ. */
  readonly mismatches!: number;
  /** Of these, those that were ignored when the run met them. */
  readonly ignored!: number;
  /** Rows that changed during every attempt. */
  readonly unsettled!: number;
}

export class SecondWayOfTableDto extends SecondWayDto {
  readonly equal!: number;
}

/** How far one table is in one sink. */
export class VerifiedTableDto {
  readonly database!: string;
  readonly table!: string;
  readonly sink!: string;
  readonly phase!: 'planning' | 'rows' | 'extras' | 'rechecks' | 'done';
  /** Rows of the source that were compared. */
  readonly rows!: number;
  readonly equal!: number;
  readonly mismatches!: number;
  /** Of these, those that were ignored when the run met them. */
  readonly ignored!: number;
  /** Rows that changed during every attempt, so that nothing is said of them. */
  readonly unsettled!: number;
  /** Rows that differ because their changes wait in the quarantine of the sink. */
  readonly quarantined!: number;
  readonly secondWay!: SecondWayOfTableDto;
  /** Keys of the sink that were looked up in the source, or met among its rows. */
  readonly listed!: number;
  readonly estimatedRows!: number;
  /** What it waits for; of a table that is done: why it could not be judged. */
  readonly hold!: HoldDto | null;
  readonly startedAtMs!: number | null;
  readonly endedAtMs!: number | null;
}

export class RunErrorDto {
  readonly code!: string;
  readonly message!: string;
}

/** What a run compares, without its keys and values: `GET /verifications/:id` has these. */
export class ScopeSummaryDto {
  readonly kind!: 'source' | 'tables' | 'keys' | 'range' | 'filter';
  /** `database.table`, of `keys`, `range` and `filter`; else null. */
  readonly table!: string | null;
  /** How many `tables`, `keys`, or conditions of a `filter`; null for other kinds. */
  readonly tables!: number | null;
  readonly keys!: number | null;
  readonly conditions!: number | null;
}

/** What is common to a run in a list and by itself. Times are milliseconds since 1970. */
class RunDto {
  readonly id!: string;
  readonly source!: string;
  readonly sinks!: string[];
  readonly trigger!: 'request' | 'schedule' | 'continuous';
  readonly actor!: string;
  readonly rowsPerSecond!: number | null;
  readonly secondWayShare!: number;
  /** `waiting`: nothing can be judged now, see `hold` of its tables. */
  readonly state!: 'running' | 'waiting' | 'paused' | 'done' | 'failed' | 'cancelled';
  readonly error!: RunErrorDto | null;
  readonly createdAtMs!: number;
  readonly endedAtMs!: number | null;
  /** Tables, in each sink. */
  readonly tables!: number;
  readonly doneTables!: number;
  /** Tables, in each sink, that ended without being judged. */
  readonly notJudged!: number;
  readonly rows!: number;
  readonly mismatches!: number;
  /** Of these, those that were ignored when the run met them. */
  readonly ignored!: number;
  readonly unsettled!: number;
  readonly quarantined!: number;
  readonly secondWay!: SecondWayDto;
  readonly estimatedRows!: number;
  /** Rows per second since it began. */
  readonly rate!: number;
  /** By that rate; null when it is not known. */
  readonly remainingMs!: number | null;
}

/** A run of verification, in a list. */
export class VerificationDto extends RunDto {
  readonly scope!: ScopeSummaryDto;
}

export class VerificationDetailsDto extends RunDto {
  /** `{"kind":"source"}`, `{"kind":"tables","tables":[…]}`, or `keys`, `range` and `filter` of one table */
  readonly scope!: RunScope;
  /** Tables that are under way or differ come first. */
  readonly details!: VerifiedTableDto[];
}

export class VerificationsDto {
  /** The newest first. */
  readonly verifications!: VerificationDto[];
}
