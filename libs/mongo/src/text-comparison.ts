import { coversChange, isGtid, type TableLayout, type TextRows } from '#change-events';
import { type CoveredChanges } from '#verification';
import { BsonWriter } from './bson-writer.ts';
import { DocumentParts, LENGTH_BYTES, VERSION_DIGITS } from './document-parts.ts';
import { compileTextId } from './mirror-document.ts';
import { compileTextRowWriter, type TextRowWriter } from './text-row-writer.ts';

const LINEAGE_DIGITS = 8;

/** A buffer that one wide row has made larger is not kept. */
const MOST_KEPT_BYTES = 1024 * 1024;

/** Compares rows as texts with documents as bytes, without a value or an object for either. */
export class TextComparison {
  readonly #writeId: TextRowWriter;
  readonly #writeRow: TextRowWriter;
  readonly #parts = new DocumentParts();
  /** The newest that was one. */
  #gtid = Buffer.alloc(0);
  #writer = new BsonWriter(4096);

  /** `columns`: of the rows. */
  constructor(layout: TableLayout, columns: TextRows['columns']) {
    this.#writeId = compileTextId(layout, columns);
    this.#writeRow = compileTextRowWriter(layout, columns, [...layout.columns.keys()], ({ name }) => name);
  }

  /** Whether the document has the `_id` of the row, byte for byte. */
  hasKey(rows: TextRows, index: number, document: Buffer): boolean {
    const writer = this.#writer;
    writer.at = 0;
    this.#writeId(writer, rows, index);
    const { at, bytes } = writer;
    for (let i = 0; i < at; i++) if (bytes[i] !== document[LENGTH_BYTES + i]) return false;
    return true;
  }

  /** The element `_id` of a row, byte for byte. */
  idText(rows: TextRows, index: number): string {
    const writer = this.#writer;
    writer.at = 0;
    this.#writeId(writer, rows, index);
    return writer.bytes.toString('latin1', 0, writer.at);
  }

  /** Whether it is, to the last byte, one that Ditto writes of a deleted row. */
  isTombstone(document: Buffer): boolean {
    return this.#parts.find(document) && this.#parts.rowStart === 0;
  }

  /**
   * Whether the document is, to the last byte, one that Ditto has written of this row, by a change that the checkpoint
   * covers. A no says nothing: the values may be equal, and the row may be one that can't be decoded.
   */
  isEqual(rows: TextRows, index: number, document: Buffer, checkpoint: CoveredChanges): boolean {
    const parts = this.#parts;
    if (!parts.find(document) || parts.rowStart === 0) return false;
    const writer = this.#writer;
    writer.at = 0;
    try {
      const embedded = writer.begin();
      this.#writeRow(writer, rows, index);
      writer.end(embedded);
    } catch {
      return false;
    }
    const { at, bytes } = writer;
    if (bytes.length > MOST_KEPT_BYTES) this.#writer = new BsonWriter(4096);
    const { rowStart, rowEnd } = parts;
    return (
      at === rowEnd - rowStart &&
      bytes.compare(document, rowStart, rowEnd, 0, at) === 0 &&
      this.#hasGtid(document) &&
      this.#isCovered(document, checkpoint)
    );
  }

  /** No GTID is fine, text that is not a GTID is a damage. Rows of one transaction have the same one. */
  #hasGtid(document: Buffer): boolean {
    const { gtidStart, gtidEnd } = this.#parts;
    if (gtidStart === 0) return true;
    const known = this.#gtid;
    if (known.length === gtidEnd - gtidStart && known.compare(document, gtidStart, gtidEnd) === 0) return true;
    if (!isGtid(document.toString('utf8', gtidStart, gtidEnd))) return false;
    this.#gtid = Buffer.from(document.subarray(gtidStart, gtidEnd));
    return true;
  }

  #isCovered(document: Buffer, checkpoint: CoveredChanges): boolean {
    const { versionStart, gtidStart, gtidEnd } = this.#parts;
    const { version } = checkpoint;
    let i = 0;
    while (i < VERSION_DIGITS && document[versionStart + i] === version.charCodeAt(i)) i++;
    if (i === VERSION_DIGITS) return true;
    // of the checkpoint's lineage, and lower
    if (i >= LINEAGE_DIGITS) return (document[versionStart + i] as number) < version.charCodeAt(i);
    return coversChange(checkpoint, {
      version: document.toString('latin1', versionStart, versionStart + VERSION_DIGITS),
      gtid: gtidStart === 0 ? null : document.toString('utf8', gtidStart, gtidEnd),
    });
  }
}
