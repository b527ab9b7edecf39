import { type Grant } from '#replication';

import { type ConfirmedEnd, ConfirmedEndStore, type KnownEnds, type PartitionLoss } from '../src/index.ts';

export class MemoryConfirmedEnds extends ConfirmedEndStore {
  ends: ConfirmedEnd[] = [];
  losses: PartitionLoss[] = [];
  /** Thrown by the next calls. */
  readonly failures: Error[] = [];

  override load(): Promise<KnownEnds> {
    return this.#answer({ ends: this.ends, losses: this.losses });
  }

  override save(_grant: Grant, ends: readonly ConfirmedEnd[]): Promise<void> {
    const named = new Set(ends.map(({ topic, partition }) => `${topic}/${partition}`));
    const kept = this.ends.filter(({ topic, partition }) => !named.has(`${topic}/${partition}`));
    return this.#answer(undefined).then(() => void (this.ends = [...kept, ...ends]));
  }

  override recordLosses(_grant: Grant, losses: readonly PartitionLoss[]): Promise<void> {
    return this.#answer(undefined).then(() => void (this.losses = [...this.losses, ...losses]));
  }

  #answer<T>(value: T): Promise<T> {
    const failure = this.failures.shift();
    return failure === undefined ? Promise.resolve(value) : Promise.reject(failure);
  }
}
