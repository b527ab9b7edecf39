import { PartitionCountStore } from '../src/index.ts';

export class MemoryPartitionCounts extends PartitionCountStore {
  readonly counts = new Map<string, number>();

  override load(topic: string): Promise<number | null> {
    return Promise.resolve(this.counts.get(topic) ?? null);
  }

  override save(topic: string, partitions: number): Promise<void> {
    this.counts.set(topic, partitions);
    return Promise.resolve();
  }
}
