import {
  changeId,
  changeVersion,
  decodeJsonKey,
  encodeKeyValues,
  hasKey,
  type RowChanges,
  rowIndexAt,
  type RowImages,
  SomeImages,
  type TableLayout,
} from '#change-events';
import { DittoError } from '#kernel';
import { type Acknowledgement, type ChangeSink } from '../ports/change-sink.ts';
import { type RefusedChange } from '../ports/refused-changes.ts';

/** A change that a sink could not be given: a text of the row can't be decoded. */
export interface UndecodableChange {
  readonly sink: string;
  /** Of the row; of both rows where the key changes. */
  readonly refused: readonly RefusedChange[];
  readonly error: DittoError;
  /** For one change, when that is recorded. */
  readonly acknowledgement: Acknowledgement;
}

/** Of no more than the text of one row; anything else that can't be decoded may be an error of the decoder. */
const ROWS_OWN = 'DITTO_SOURCE_TEXT_INVALID';

/**
 * Gives a sink the changes after the ones that it has taken before it threw `cause`, without those that can't be decoded.
 * Throws what is no row's own.
 */
export function acceptDecodable(
  sink: ChangeSink,
  changes: RowChanges,
  acknowledgement: Acknowledgement,
  cause: unknown,
): readonly UndecodableChange[] {
  const found: UndecodableChange[] = [];
  let rest = changes;
  let error = cause;
  for (;;) {
    if (!(error instanceof DittoError) || error.code !== ROWS_OWN || !hasKey(rest.layout)) throw error;
    const at = findUndecodable(rest);
    if (at === null) throw error;
    found.push({ sink: sink.name, refused: describe(rest, at), error, acknowledgement });
    rest = skip(rest, at + 1);
    if (rest.count === 0) return found;
    try {
      sink.accept(rest, acknowledgement);
      return found;
    } catch (next) {
      error = next;
    }
  }
}

function findUndecodable({ count, before, after }: RowChanges): number | null {
  for (let i = 0; i < count; i++)
    try {
      before?.row(i);
      after?.row(i);
    } catch {
      return i;
    }
  return null;
}

function describe(changes: RowChanges, index: number): readonly RefusedChange[] {
  const { op, layout, before, after, transaction, readSequence, windowId } = changes;
  const rowIndex = rowIndexAt(changes, index);
  const change = { op, layout, before: null, after: null, transaction, rowIndex, readSequence, windowId };
  const images = [before, after].filter((image) => image !== null);
  const keys = new Set(images.map((image) => readKey(layout, image, index)));
  const { database, table } = layout;
  const { gtid, file, offset } = transaction;
  return [...keys].map((key) => ({
    ...{ table: { database, table }, key, id: changeId(change), version: changeVersion(change) },
    ...{ gtid, file, offset, payload: null },
  }));
}

/** Throws when the key itself can't be decoded. */
function readKey(layout: TableLayout, images: RowImages, index: number): string {
  const json = Buffer.allocUnsafe(images.keyBound(index, 'number'));
  const length = images.writeKey(index, json, 0, 'number');
  const row = decodeJsonKey(layout, json.subarray(0, length), 'number');
  if (row === null) throw new RangeError(`a key of ${layout.database}.${layout.table} is not one`);
  return encodeKeyValues(layout, row);
}

function imagesFrom(images: RowImages, from: number): RowImages {
  return new SomeImages(images, images.count - from, (index) => from + index);
}

function skip(changes: RowChanges, from: number): RowChanges {
  const { before, after, count, firstRowIndex } = changes;
  return {
    ...changes,
    before: before && imagesFrom(before, from),
    after: after && imagesFrom(after, from),
    count: count - from,
    firstRowIndex: firstRowIndex + from,
  };
}
