import { type NoticeEvent } from '#configuration';

/** A notice for one webhook. */
export interface NewNotice {
  /** The receiver knows by it what it has seen before. */
  readonly id: string;
  readonly webhook: string;
  readonly event: NoticeEvent;
  readonly source: string;
  /** JSON, as it is sent. */
  readonly body: string;
  readonly createdAtMs: number;
  /** Of several with one key, for one webhook, the first alone is kept; null: it has none. */
  readonly uniqueKey: string | null;
}

/** Keeps notices until they are delivered, also over restarts. */
export abstract class NoticeStore {
  /** Resolves when they are durable. A notice that is added again is there once. */
  abstract add(notices: readonly NewNotice[]): Promise<void>;
}
