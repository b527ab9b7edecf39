export class DifferenceDto {
  readonly column!: string;
  /** As text, cut to a limit; null for a column that this side does not have. */
  readonly source!: string | null;
  readonly sink!: string | null;
}

export class LostChangeDto {
  /** The header `ditto.id` that its message had, or would have. */
  readonly id!: string;
  readonly version!: string;
  readonly gtid!: string | null;
  /** Where its transaction begins in the log. */
  readonly file!: string;
  readonly offset!: number;
  /** Index of the row in the transaction. */
  readonly row!: number;
  readonly op!: 'create' | 'update' | 'delete';
  /** As in the messages of the row. */
  readonly key!: string;
}

export class MismatchDetailsDto {
  /** `second`: only the second way of comparing has found it. */
  readonly way!: 'first' | 'second';
  readonly differences!: DifferenceDto[];
  /** What is wrong with a damaged one. */
  readonly damage!: string | null;
  readonly storedVersion!: string | null;
  readonly fingerprint!: string | null;
  /** Of what is not stored under a key: its place. */
  readonly shown!: string | null;
  /** Of a `gap`: the change whose message is missing. */
  readonly change!: LostChangeDto | null;
}

/** A row that differs, or differed, in a sink. Times are milliseconds since 1970. */
export class MismatchDto {
  readonly id!: string;
  readonly source!: string;
  readonly database!: string;
  readonly table!: string;
  readonly sink!: string;
  /** JSON text of the key's values in key order; of a `gap`, the `ditto.id` of the change. */
  readonly key!: string;
  /** False for something that is stored under no key of the table, and for a `gap`. */
  readonly isKey!: boolean;
  readonly kind!: 'missing' | 'extra' | 'different' | 'damaged' | 'undecodable' | 'gap';
  readonly details!: MismatchDetailsDto;
  readonly state!: 'open' | 'repairing' | 'repaired' | 'given up' | 'gone' | 'ignored';
  readonly reason!: string | null;
  readonly actor!: string | null;
  /** The newest run that found it. */
  readonly runId!: string | null;
  readonly firstSeenMs!: number;
  readonly lastSeenMs!: number;
  /** How many runs have found it. */
  readonly timesSeen!: number;
  readonly changedAtMs!: number;
}

export class MismatchesDto {
  /** Oldest first. */
  readonly mismatches!: MismatchDto[];
  /** What to ask for as `after` to have the next page; null at the end. */
  readonly next!: string | null;
}

export class IgnoreDto {
  /** Why it may stay. */
  readonly reason!: string;
}
