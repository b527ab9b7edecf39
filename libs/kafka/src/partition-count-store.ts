/**
 * Remembers how many partitions each topic had when it was first used. The partition of a key follows from that number,
 * so a topic that grows without Ditto's knowledge would scatter the changes of one row over two partitions.
 */
export abstract class PartitionCountStore {
  /** Null when the topic was never used. A store that can't be reached throws a retriable `DittoError`. */
  abstract load(topic: string): Promise<number | null>;
  abstract save(topic: string, partitions: number): Promise<void>;
}
