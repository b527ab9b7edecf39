import { writeAscii, writeDigits, writeHex32, writeString } from './bytes.ts';
import { changeAt, type RowChanges, rowIndexAt, type TransactionInfo } from './change.ts';
import { readId } from './change-identity.ts';
import { type ChangePart } from './envelope.ts';
import { type RowImages } from './row-images.ts';
import { changeVersion, READ_ROW_INDEX } from './version.ts';

/** Bytes of every version. */
export const VERSION_BYTES = 44;

const HALF_OF_PART: Readonly<Record<ChangePart, string>> = { whole: '', removal: '/d', creation: '/c' };

/**
 * Writes the identities and versions of changes as bytes, the same text as `changeId` and `changeVersion` give. What is
 * common to the newest transaction's changes is kept.
 */
export class ChangeHeaderWriter {
  #transaction: TransactionInfo | null = null;
  #place = '';

  /** `writeId` writes no more bytes than this for changes of that kind. */
  idBound({ transaction, windowId }: RowChanges): number {
    const { gtid, serverUuid, file } = transaction;
    return 3 * ((gtid?.length ?? 0) + serverUuid.length + file.length + (windowId?.length ?? 0)) + 64;
  }

  writeId(changes: RowChanges, index: number, part: ChangePart, target: Buffer, at: number): number {
    const { transaction, windowId, layout } = changes;
    if (windowId !== null) {
      const images = (changes.after ?? changes.before) as RowImages;
      return writeString(target, at, readId(windowId, layout, images.keyRow(index)));
    }
    if (transaction !== this.#transaction) {
      const { gtid, serverUuid, file, offset } = transaction;
      this.#transaction = transaction;
      this.#place = `${gtid ?? `${serverUuid}/${file}/${offset}`}/`;
    }
    // a GTID is ASCII; the name of a log file need not be
    const placed = (transaction.gtid === null ? writeString : writeAscii)(target, at, this.#place);
    const end = writeDigits(target, placed, rowIndexAt(changes, index));
    return writeAscii(target, end, HALF_OF_PART[part]);
  }

  /** Writes `VERSION_BYTES` bytes. */
  writeVersion(changes: RowChanges, index: number, target: Buffer, at: number): number {
    const row = rowIndexAt(changes, index);
    if (row > READ_ROW_INDEX) return writeAscii(target, at, changeVersion(changeAt(changes, index))); // says what is wrong
    const p = writeHex32(target, writeAscii(target, at, changes.transaction.versionPrefix), row);
    return writeHex32(target, p, changes.readSequence);
  }
}
