export interface LoadSample {
  /** Threads of the server that execute a statement now, without the one that asks. */
  readonly runningThreads: number;
  /** How far the server is behind the one that it replicates from; null when it replicates from none, or does not know. */
  readonly lagMs: number | null;
}

/** What the server that rows are read from has to do. */
export abstract class SourceLoad {
  /** Rejects with a coded error when the server does not answer in time. */
  abstract measure(): Promise<LoadSample>;
}
