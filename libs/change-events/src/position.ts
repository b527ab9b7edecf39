/** A place in a source's log, always at the end of a transaction. */
export interface Position {
  /** Everything at or before this place, as a GTID set in MySQL's text form without white space. */
  readonly gtidSet: string;
  /** Name of the log file of `serverUuid`; '' when not known (a position that was never streamed from). */
  readonly file: string;
  /** Offset in `file` just after the last event covered; 0 when not known. */
  readonly offset: number;
  readonly serverUuid: string;
}

/**
 * A position that no GTID set gives, because there are transactions without a GTID: what lies before `offset` in `file`
 * is covered, what begins there or later is not. It means nothing on any other server than `serverUuid`.
 */
export interface FilePosition {
  readonly gtidSet: null;
  readonly file: string;
  /** Where a transaction begins or ended; 4 is the beginning of a file. May exceed 32 bits. */
  readonly offset: number;
  readonly serverUuid: string;
}
