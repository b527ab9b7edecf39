/** A sweep that ended, or failed and will be tried again. Times are milliseconds since 1970. */
export class SweepDto {
  readonly source!: string;
  readonly state!: 'done' | 'failed';
  readonly startedAtMs!: number;
  readonly endedAtMs!: number;
  /** Tombstones that were removed; null when the sweep failed: some may have been. */
  readonly removed!: number | null;
  /** Collections that were looked through. */
  readonly collections!: number | null;
  /** Only what the checkpoint of this version covers was removed; null while there is none. */
  readonly belowVersion!: string | null;
  readonly error!: string | null;
}

export class SweepsDto {
  /** The newest first. */
  readonly sweeps!: SweepDto[];
}
