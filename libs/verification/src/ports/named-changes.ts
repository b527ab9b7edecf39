import { type Row, type TableLayout } from '#change-events';

/** A change of a key, by the version that is stored of it. */
export interface NamedChange {
  readonly key: Row;
  readonly version: string;
}

/** What single changes have left of a row, from where they are recorded apart from the sinks. */
export abstract class NamedChanges {
  /**
   * The rows as these changes left them, in their order; null where a change deleted the row, undefined where it is not to
   * be had. Rejects only when the signal is aborted.
   */
  abstract read(
    layout: TableLayout,
    changes: readonly NamedChange[],
    signal: AbortSignal,
  ): Promise<readonly (Row | null | undefined)[]>;
}
