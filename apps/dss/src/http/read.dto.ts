import { ApiProperty } from '@nestjs/swagger';

/** Asks for rows to be read again. */
export class ReadOrderDto {
  /** Chosen by the caller, so that a request that is sent twice is one; also as the header `Idempotency-Key`. */
  readonly id?: string;
  /** `database.table`; a name with a point or a space in backquotes. */
  readonly table!: string;
  @ApiProperty({
    required: false,
    description:
      'The rows with these keys, each an array of values in the order of the key columns: integers beyond 2^53 and bytes (base64) as text. The whole table when left out.',
    type: 'array',
    items: { type: 'array', items: { oneOf: [{ type: 'string' }, { type: 'number' }, { type: 'boolean' }] } },
    example: [[1], [2]],
  })
  readonly keys?: (string | number | boolean)[][];
  /** For whoever looks at it later; at most 512 characters. */
  readonly reason!: string;
}

export class ReadCountsDto {
  /** Rows that the source had. */
  readonly read!: number;
  /** Reads and deletes that were given to the sinks: the log was newer for the others. Null for a whole table. */
  readonly emitted!: number | null;
  /** Keys that the source did not have. Null for a whole table. */
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
  readonly table!: string;
  /** table, keys */
  readonly kind!: string;
  /** How many keys were asked for; null for a whole table. */
  readonly keyCount!: number | null;
  /** Keys from the front of the list that are confirmed by every sink. */
  readonly confirmedKeys!: number;
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
  /** For the next page: `before` of the next request; null on the last page. */
  readonly before!: string | null;
}
