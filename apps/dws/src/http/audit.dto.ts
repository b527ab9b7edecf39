/** What an operator did, or a service decided by itself. Times are milliseconds since 1970. */
export class AuditEntryDto {
  readonly id!: string;
  /** When it was done first. */
  readonly atMs!: number;
  /** When it was done last. */
  readonly lastAtMs!: number;
  /** How often: what a service does by itself again and again has one entry for each cause and day (UTC). */
  readonly repeats!: number;
  /** The name of a token, `local` where there is none, or the service that decided. */
  readonly actor!: string;
  readonly action!: string;
  /** The source that it was about. */
  readonly source!: string;
  /** Of the last time. */
  readonly details!: Record<string, unknown>;
}

export class AuditEntriesDto {
  /** The newest first, by when they were done last. */
  readonly entries!: AuditEntryDto[];
  /** `after` of the next page; null on the last one. */
  readonly next!: string | null;
}
