import { type TableName } from '#change-events';
import { type DittoError } from '#kernel';

/** A change of a row that a sink will never take. */
export interface RefusedChange {
  readonly table: TableName;
  /** Of the row, as `encodeKeyValues` writes it. */
  readonly key: string;
  /** As `changeId` gives it. */
  readonly id: string;
  /** As `changeVersion` gives it. */
  readonly version: string;
}

/**
 * Decides what becomes of changes that a sink will never take.
 *
 * Later changes of such a row are delivered as any others. So whoever records one marks its row as out of order until a
 * read of it has been delivered.
 */
export abstract class RefusedChanges {
  /**
   * Resolves when it is recorded durably that this sink lacks the change, and why. Rejects where it can't be recorded:
   * with a retriable error it is asked again. Repeatable.
   */
  abstract record(sink: string, refused: RefusedChange, error: DittoError): Promise<void>;
}

/** Records nothing: the sink fails with the error, and the source stops at the change. */
export class StopAtRefusal extends RefusedChanges {
  override record(_sink: string, _refused: RefusedChange, error: DittoError): Promise<void> {
    return Promise.reject(error);
  }
}
