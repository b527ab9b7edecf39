import { RowScopeDto } from '#platform';

/** Asks for rows to be read again. */
export class ReadOrderDto extends RowScopeDto {
  /** Chosen by the caller, so that a request that is sent twice is one; also as the header `Idempotency-Key`. */
  readonly id?: string;
  /** `database.table`; a name with a point or a space in backquotes. All included tables when left out. */
  readonly table?: string;
  /** For whoever looks at it later; at most 512 characters. */
  readonly reason!: string;
}

export class ReadCountsDto {
  /** Rows that the source had. */
  readonly read!: number;
  /** Reads and deletes that were given to the sinks: the log was newer for the others. Null for whole tables. */
  readonly emitted!: number | null;
  /** Keys that the source did not have. Null for whole tables. */
  readonly gone!: number | null;
}

export class ReadErrorDto {
  readonly code!: string;
  readonly message!: string;
}

/** A read that was asked for. Any instance of DSS shows it; the one that owns the source executes it. */
export class ReadDto {
  readonly id!: string;
  readonly source!: string;
  /** Null for all tables. */
  readonly table!: string | null;
  /** source, table, keys, range, filter */
  readonly kind!: string;
  /** Of a range: its first and last key as JSON text; null for no bound. */
  readonly range?: object;
  /** Of a filter: its conditions. */
  readonly where?: object[];
  /** How many keys were asked for; null for other scopes. */
  readonly keyCount!: number | null;
  /** Keys from the front of the list that are confirmed by every sink. */
  readonly confirmedKeys!: number;
  /** Of a range or a filter: `rows` are read, or what is `gone` is looked for. Else null. */
  readonly phase!: string | null;
  /** Rows of the whole tables that are read, roughly; null where that is not known. */
  readonly estimatedRows!: number | null;
  /** accepted, running, done, failed, cancelled */
  readonly state!: string;
  readonly counts!: ReadCountsDto;
  /** Why it failed, or why its last attempt did while it is tried again. */
  readonly error!: ReadErrorDto | null;
  readonly reason!: string;
  readonly actor!: string;
  /** Milliseconds since 1970, as the next two. */
  readonly acceptedAtMs!: number;
  readonly startedAtMs!: number | null;
  readonly endedAtMs!: number | null;
}

export class ReadsDto {
  /** Newest first. */
  readonly reads!: ReadDto[];
  /** What to ask for as `after` to have the next page; null at the end. */
  readonly next!: string | null;
}
