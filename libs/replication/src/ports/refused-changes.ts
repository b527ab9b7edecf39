import { type Row, type TableLayout, type TableName, ValueImages } from '#change-events';
import { type DittoError } from '#kernel';
import { QuarantinedKeys } from './quarantined-keys.ts';

/** What of a refused row is kept for people: the beginning of its JSON text. */
export interface ShownPayload {
  /** At most `MOST_PAYLOAD_BYTES`. */
  readonly text: string;
  /** Of the whole; more than `text` has where it is cut. */
  readonly bytes: number;
}

/** A change of a row that a sink will never take. */
export interface RefusedChange {
  readonly table: TableName;
  /** Of the row, as `encodeKeyValues` writes it. */
  readonly key: string;
  /** As `changeId` gives it. */
  readonly id: string;
  /** As `changeVersion` gives it. */
  readonly version: string;
  /** From this version on changes of the row may be held back; from its own where that is left out. */
  readonly lackingSince?: string;
  readonly gtid: string | null;
  /** Of the transaction in the log. */
  readonly file: string;
  readonly offset: number;
  /** Null for a delete, and where the row can't be shown. */
  readonly payload: ShownPayload | null;
}

/**
 * Decides what becomes of changes that a sink will never take.
 *
 * Whoever records one holds the later changes of its row back (`QuarantinedKeys`) until a newer image of it is delivered.
 */
export abstract class RefusedChanges {
  /**
   * Resolves when it is recorded durably that this sink lacks the change, and why. Rejects where it can't be recorded:
   * with a retriable error it is asked again. Repeatable.
   */
  abstract record(sink: string, refused: RefusedChange, error: DittoError): Promise<void>;
  /** Rows of the sink whose changes are held back. */
  keysOf(sink: string): QuarantinedKeys;
  keysOf(): QuarantinedKeys {
    return new QuarantinedKeys();
  }
  /**
   * The sink has ended all rows of the table, with a change of this version. Resolves when it is durable that nothing of
   * it is held back any more; with a retriable error it is asked again. Repeatable.
   */
  endTable(sink: string, table: TableName, version: string): Promise<void>;
  endTable(): Promise<void> {
    return Promise.resolve();
  }
}

/** Records nothing: the sink fails with the error, and the source stops at the change. */
export class StopAtRefusal extends RefusedChanges {
  override record(_sink: string, _refused: RefusedChange, error: DittoError): Promise<void> {
    return Promise.reject(error);
  }
}

export const MOST_PAYLOAD_BYTES = 16 * 1024;

/** Of JSON text; cut between characters. */
export function showPayload(json: Buffer): ShownPayload {
  let end = Math.min(json.length, MOST_PAYLOAD_BYTES);
  // the bytes after the first of a character begin with 10
  if (end < json.length) while (end > 0 && ((json[end] as number) & 0xc0) === 0x80) end--;
  return { text: json.toString('utf8', 0, end), bytes: json.length };
}

/** Null for a row that has no JSON. */
export function showRow(layout: TableLayout, row: Row): ShownPayload | null {
  try {
    const images = new ValueImages(layout, [row]);
    const json = Buffer.allocUnsafe(images.jsonBound(0, 'number'));
    return showPayload(json.subarray(0, images.writeJson(0, json, 0, 'number')));
  } catch {
    return null;
  }
}
