/**
 * What a sink still knows of the changes it was given. Asked when Ditto's own stores may know less: after a crash, before
 * another server is accepted (I7), and when checkpoints are lost.
 */
export abstract class SinkMemory {
  /** Highest lineage of any change of the source that the sink holds; 0 when it holds none. */
  abstract newestLineage(signal: AbortSignal): Promise<number>;
  /**
   * GTIDs (`uuid:number`, `uuid:tag:number`, MariaDB's `domain-server-number`) of the transactions of which the sink
   * holds a change of the log with a version above `version`: at least the greatest of each server UUID and tag (MariaDB:
   * of each domain and server). Each at most once, in no order. '' asks for all.
   *
   * A topic is read back to the first changes at or below `version`. While a source repeats what an earlier process gave
   * (replay zone), changes of that process lie before the repeats: give the version at which the zone begins then.
   */
  abstract gtidsAbove(version: string, signal: AbortSignal): Promise<readonly string[]>;
}

/** Which messages of a sink are looked for. */
export interface VersionBounds {
  /** Those above this version. */
  readonly above: string;
  /**
   * As far back as this one, which is not higher: after two crashes a long repeat of what is not above may come after some
   * that is.
   */
  readonly downTo: string;
}
