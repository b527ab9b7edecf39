import { type Grant } from '#replication';

/** How far a partition is confirmed: all messages below `end` were, by all in-sync replicas. */
export interface ConfirmedEnd {
  readonly topic: string;
  readonly partition: number;
  readonly end: number;
}

/** A partition that has lost confirmed messages. */
export interface PartitionLoss {
  readonly topic: string;
  readonly partition: number;
  readonly confirmedEnd: number;
  /** What the partition holds below this offset was there before the loss. */
  readonly survivingEnd: number;
}

export interface KnownEnds {
  readonly ends: readonly ConfirmedEnd[];
  readonly losses: readonly PartitionLoss[];
}

/**
 * Remembers how far each partition of a source was confirmed, and what was lost of it, beyond the life of a process.
 * Writes are refused for all but the newest fencing token of the source. A store that can't be reached throws a
 * retriable `DittoError`.
 */
export abstract class ConfirmedEndStore {
  abstract load(source: string): Promise<KnownEnds>;
  /** An end only ever grows. */
  abstract save(grant: Grant, ends: readonly ConfirmedEnd[]): Promise<void>;
  /** Stays until the source is rewound or resynced. Of two losses of a partition the one that leaves less counts. */
  abstract recordLosses(grant: Grant, losses: readonly PartitionLoss[]): Promise<void>;
}
