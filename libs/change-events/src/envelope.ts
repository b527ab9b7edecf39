import { type RowChanges, rowIndexAt, type TableChange, type TransactionInfo } from './change.ts';
import { writeAscii, writeDigits } from './bytes.ts';
import { OPERATION_LETTERS } from './envelope-operation.ts';
import { type BigintMode } from './json-values.ts';
import { type TableLayout } from './table-layout.ts';

export interface EnvelopeOptions {
  /** The source's name, `source.name`. */
  readonly source: string;
  /** Ditto's own version, `source.version`. */
  readonly version: string;
  readonly bigint: BigintMode;
}

/** Which message of a change: both images; or a changed key's removal of the old, or creation of the new. */
export type ChangePart = 'whole' | 'removal' | 'creation';

const LETTER_OF_PART: Readonly<Record<ChangePart, string | null>> = { whole: null, removal: 'd', creation: 'c' };

/** All but images and source block: names, punctuation, numbers at their longest. */
const FRAME_BYTES = 160;

const BEFORE = '{"before":';
const AFTER = ',"after":';
const NULL = 'null';
const QUOTE = 34;

/**
 * Writes the message values of one layout's changes as bytes: Debezium's envelope as JSON without schema
 * (docs/types.md lists the differences). The source block of the newest transaction is kept, so that a run of rows pays
 * for it once. `changes.layout` must have the layout's columns.
 */
export class EnvelopeWriter {
  readonly #bigint: BigintMode;
  /** The source block's constant parts, and the part that a run of transactions has in common. */
  readonly #server: Buffer;
  readonly #place: Buffer;
  #file: string | null = null;
  #fileText = Buffer.alloc(0);
  #transaction: TransactionInfo | null = null;
  #isRead = false;
  #block: Buffer;
  #source: Buffer;

  constructor({ database, table }: TableLayout, options: EnvelopeOptions) {
    this.#bigint = options.bigint;
    this.#server = Buffer.from(
      `,"source":{"version":${JSON.stringify(options.version)},"connector":"mysql","name":${JSON.stringify(options.source)},"ts_ms":`,
    );
    this.#place = Buffer.from(`,"db":${JSON.stringify(database)},"table":${JSON.stringify(table)},"server_id":`);
    this.#block = Buffer.alloc(1024);
    this.#source = this.#block;
  }

  /** `write` writes no more bytes than this for the change. */
  bound({ before, after, transaction, windowId }: RowChanges, index: number): number {
    this.#prepareSource(transaction, windowId !== null);
    return (
      FRAME_BYTES +
      this.#source.length +
      (before === null ? 0 : before.jsonBound(index, this.#bigint)) +
      (after === null ? 0 : after.jsonBound(index, this.#bigint))
    );
  }

  /** Writes the value of one change at `at`; returns the end. `nowMs`: when Ditto made the message. */
  write(changes: RowChanges, index: number, part: ChangePart, nowMs: number, target: Buffer, at: number): number {
    const before = part === 'creation' ? null : changes.before;
    const after = part === 'removal' ? null : changes.after;
    this.#prepareSource(changes.transaction, changes.windowId !== null);
    let p = writeAscii(target, at, BEFORE);
    p = before === null ? writeAscii(target, p, NULL) : before.writeJson(index, target, p, this.#bigint);
    p = writeAscii(target, p, AFTER);
    p = after === null ? writeAscii(target, p, NULL) : after.writeJson(index, target, p, this.#bigint);
    const row = this.#isRead ? 0 : rowIndexAt(changes, index);
    return this.#writeEnd(target, p, row, LETTER_OF_PART[part] ?? OPERATION_LETTERS[changes.op], nowMs);
  }

  /** The value of the message of a truncated or dropped table, `"op":"t"`. */
  encodeTableChange({ op, transaction, rowIndex, readSequence }: TableChange, nowMs: number): Buffer {
    this.#prepareSource(transaction, false);
    const target = Buffer.alloc(FRAME_BYTES + this.#source.length);
    const p = writeAscii(target, 0, `${BEFORE}${NULL}${AFTER}${NULL}`);
    return target.subarray(
      0,
      this.#writeEnd(target, p, readSequence === undefined ? rowIndex : 0, OPERATION_LETTERS[op], nowMs),
    );
  }

  #writeEnd(target: Buffer, at: number, row: number, letter: string, nowMs: number): number {
    target.set(this.#source, at);
    let p = writeDigits(target, at + this.#source.length, row);
    p = writeAscii(target, p, '},"op":"');
    target[p] = letter.charCodeAt(0);
    p = writeDigits(target, writeAscii(target, p + 1, '","ts_ms":'), nowMs);
    return writeAscii(target, p, ',"transaction":null}');
  }

  /** Everything of `source` up to the row number. */
  #prepareSource(transaction: TransactionInfo, isRead: boolean): void {
    if (transaction === this.#transaction && isRead === this.#isRead) return;
    this.#transaction = transaction;
    this.#isRead = isRead;
    const { commitMicros, gtid, file, serverId, offset } = transaction;
    if (file !== this.#file) {
      this.#file = file;
      this.#fileText = Buffer.from(`,"file":${JSON.stringify(file)},"pos":`);
    }
    const most = this.#server.length + this.#place.length + this.#fileText.length + (gtid?.length ?? 0) + FRAME_BYTES;
    if (this.#block.length < most) this.#block = Buffer.alloc(2 * most);
    const block = this.#block;
    block.set(this.#server);
    let p = writeDigits(block, this.#server.length, Math.floor(commitMicros / 1000));
    p = writeAscii(block, p, isRead ? ',"snapshot":"incremental"' : ',"snapshot":"false"');
    block.set(this.#place, p);
    p = writeDigits(block, p + this.#place.length, serverId);
    p = writeAscii(block, p, ',"gtid":');
    if (gtid === null) p = writeAscii(block, p, NULL);
    else {
      block[p] = QUOTE;
      p = writeAscii(block, p + 1, gtid);
      block[p++] = QUOTE;
    }
    block.set(this.#fileText, p);
    p = writeDigits(block, p + this.#fileText.length, offset);
    this.#source = block.subarray(0, writeAscii(block, p, ',"row":'));
  }
}
