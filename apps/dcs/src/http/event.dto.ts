/** One recent change, as it is in Kafka. */
export class EventDto {
  /** `database.table` */
  readonly table!: string;
  /** The message key; null when the table has none. */
  readonly key!: unknown;
  /** `c`, `u`, `d`, `r` or `t`. */
  readonly op!: string;
  /** Identity of the change: the header `ditto.id`. */
  readonly id!: string;
  /** The header `ditto.version`. */
  readonly version!: string;
  readonly gtid!: string | null;
  /** When it was committed in MySQL, milliseconds since 1970. */
  readonly commitMs!: number;
  /** When it was published to Kafka, milliseconds since 1970. */
  readonly publishedMs!: number;
  readonly topic!: string;
  readonly partition!: number;
  readonly offset!: number;
  /** The message value, with all digits of its numbers; null when it was left out because of its size. */
  readonly value!: unknown;
  /** Size of a value that was left out; else 0. */
  readonly omittedBytes!: number;
}

/** Changes that the window lacks: there were more than are kept per second, and the reader jumped forward. */
export class EventGapDto {
  /** `database.table` */
  readonly table!: string;
  /** Changes left out. */
  readonly skipped!: number;
  /** Milliseconds since 1970. */
  readonly fromMs!: number;
  readonly toMs!: number;
}

export class EventsDto {
  readonly source!: string;
  /** Whether the window is kept at all (`dcs.recentEvents.enabled`). */
  readonly enabled!: boolean;
  /** Why the instance that answers is not reading from Kafka at the moment; else null. */
  readonly holdingBecause!: string | null;
  /** False when changes are missing between those shown (`gaps` says which), or not all tables could be searched: name one then. */
  readonly complete!: boolean;
  /** Changes left out, in those gaps too that are not listed because of `limit`. */
  readonly skippedEvents!: number;
  /** Newest first. */
  readonly gaps!: EventGapDto[];
  /** Newest first. */
  readonly events!: EventDto[];
}
