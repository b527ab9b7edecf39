/** A place in a source's log, at the end of a transaction. */
export class PositionDto {
  /** Everything at or before this place, as a GTID set. */
  readonly gtidSet!: string;
  /** Log file; empty when not known. */
  readonly file!: string;
  /** Offset in the file, just after the last event covered. */
  readonly offset!: number;
  /** UUID of the server whose file this is. */
  readonly serverUuid!: string;
}

/** Where a source is: the newest position such that every sink has confirmed every change at or before it. */
export class OffsetDto {
  readonly source!: string;
  /** Fencing token of the pipeline that wrote it. */
  readonly token!: number;
  readonly lineage!: number;
  readonly position!: PositionDto;
  /** GTIDs of all transactions that were given to a sink, confirmed or not. */
  readonly dispatchedSet!: string;
  /** GTIDs of XA PREPAREs up to this position whose outcome comes after it; in no other set. */
  readonly undecidedSet!: string;
  /** Version of the last transaction covered; empty before the first. */
  readonly version!: string;
  /** Commit time of the last transaction covered, ISO 8601 in UTC; null before the first. */
  readonly committedAt!: string | null;
  /** When it was written, by the writer's clock, ISO 8601 in UTC. */
  readonly savedAt!: string;
}

export class OffsetsDto {
  readonly offsets!: OffsetDto[];
}
