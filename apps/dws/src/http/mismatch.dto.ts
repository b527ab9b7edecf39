export class DifferenceDto {
  readonly column!: string;
  /** As text, cut to a limit; null for a column that this side does not have. */
  readonly source!: string | null;
  readonly sink!: string | null;
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
}

/** A row that differs, or differed, in a sink. Times are milliseconds since 1970. */
export class MismatchDto {
  readonly id!: string;
  readonly source!: string;
  readonly database!: string;
  readonly table!: string;
  readonly sink!: string;
  /** JSON text of the key's values in key order. */
  readonly key!: string;
  /** False for something that is stored under no key of the table. */
  readonly isKey!: boolean;
  readonly kind!: 'missing' | 'extra' | 'different' | 'damaged' | 'undecodable';
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
