import { type Checkpoint, type StoredCheckpoint } from '#change-events';
import { CheckpointStore, type Grant } from '#replication';
import { type DcsClient } from './dcs-client.ts';

/** Checkpoints in DCS. `load` gives the newest that Redis or the state database knows. */
export class DcsCheckpointStore extends CheckpointStore {
  readonly #client: DcsClient;

  constructor(client: DcsClient) {
    super();
    this.#client = client;
  }

  async load(source: string): Promise<StoredCheckpoint | null> {
    return this.#client.getOffset(source);
  }

  async save(grant: Grant, checkpoint: Checkpoint): Promise<void> {
    await this.#client.putOffset(grant, checkpoint);
  }
}
