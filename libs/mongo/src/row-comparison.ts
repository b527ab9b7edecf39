import {
  canonicalEquals,
  type CanonicalValue,
  type Column,
  encodeVector,
  type Row,
  type TableLayout,
} from '#change-events';
import { cutText, DittoError } from '#kernel';
import { type ComparisonCounters, type Difference } from '#verification';
import { type BsonElement, readElements } from './bson-reader.ts';
import { BSON_ENCODING } from './bson-values.ts';
import { BsonType, BsonWriter } from './bson-writer.ts';
import { compileRowWriter, type RowWriter } from './row-writer.ts';
import { showField } from './shown-document.ts';

/** A buffer that one wide row has made larger is not kept. */
const MOST_KEPT_BYTES = 1024 * 1024;
const SHOWN_CHARACTERS = 200;
/** What is shown before the first character that differs, where the beginnings are equal for long. */
const SHOWN_BEFORE = 40;
const NONE: readonly Difference[] = [];

/** Compares rows of one layout with what is stored of them. */
export class RowComparison {
  readonly #columns: readonly Column[];
  readonly #writeRow: RowWriter;
  readonly #counters: ComparisonCounters;
  #writer = new BsonWriter(4096);

  constructor(layout: TableLayout, counters: ComparisonCounters) {
    this.#columns = layout.columns;
    this.#writeRow = compileRowWriter(layout, [...layout.columns.keys()], ({ name }) => name);
    this.#counters = counters;
  }

  /** `start` and `end` of the stored row in its document. Null when it can't be decoded. */
  compare(row: Row, document: Buffer, start: number, end: number): readonly Difference[] | null {
    if (this.#isEqual(row, document, start, end)) {
      this.#counters.byBytes++;
      return NONE;
    }
    this.#counters.byValue++;
    try {
      return this.#findDifferences(row, document.subarray(start, end));
    } catch (error) {
      // no BSON, or no JSON
      if (error instanceof RangeError || isValueError(error)) return null;
      throw error;
    }
  }

  #isEqual(row: Row, document: Buffer, start: number, end: number): boolean {
    const writer = this.#writer;
    writer.at = 0;
    try {
      const embedded = writer.begin();
      this.#writeRow(writer, row);
      writer.end(embedded);
    } catch {
      return false; // what can't be written was not written
    }
    const { at, bytes } = writer;
    if (bytes.length > MOST_KEPT_BYTES) this.#writer = new BsonWriter(4096);
    return at === end - start && bytes.compare(document, start, end, 0, at) === 0;
  }

  #findDifferences(row: Row, stored: Buffer): readonly Difference[] | null {
    const elements = new Map<string, BsonElement>();
    for (const element of readElements(stored)) {
      if (elements.has(element.name)) return null;
      elements.set(element.name, element);
    }
    const differences: Difference[] = [];
    for (const [index, column] of this.#columns.entries()) {
      const element = elements.get(column.name);
      elements.delete(column.name);
      const expected = row[index] ?? null;
      if (element === undefined) {
        differences.push({ column: column.name, source: cut(textOf(column, expected)), sink: null });
        continue;
      }
      const value = readElement(column, stored, element);
      if (value === undefined) return null;
      if (!canonicalEquals(column, expected, value)) differences.push(differenceOf(column, expected, value));
    }
    for (const [name, element] of elements)
      differences.push({ column: name, source: null, sink: cut(describe(stored, element)) });
    return differences;
  }
}

function readElement(column: Column, stored: Buffer, { type, start, end }: BsonElement): CanonicalValue | undefined {
  if (type === BsonType.null) return null;
  return BSON_ENCODING[column.kind].read({ type, bytes: stored.subarray(start, end) }, column);
}

function differenceOf(column: Column, expected: CanonicalValue, value: CanonicalValue): Difference {
  const source = textOf(column, expected);
  const sink = textOf(column, value);
  let first = 0;
  while (first < source.length && source[first] === sink[first]) first++;
  const from = first < SHOWN_CHARACTERS - SHOWN_BEFORE ? 0 : first - SHOWN_BEFORE;
  return { column: column.name, source: cut(source, from), sink: cut(sink, from) };
}

function cut(text: string, from?: number): string {
  return cutText(text, SHOWN_CHARACTERS, from);
}

function textOf({ kind }: Column, value: CanonicalValue): string {
  if (value === null) return 'NULL';
  if (Buffer.isBuffer(value)) return kind === 'vector' ? encodeVector(value) : `0x${value.toString('hex')}`;
  return Object.is(value, -0) ? '-0' : String(value);
}

/** Of a text that is no JSON document or no number. */
function isValueError(error: unknown): boolean {
  return error instanceof DittoError && error.code.startsWith('DITTO_VALUE_');
}

/** A field that is no column. */
function describe(stored: Buffer, { start, end, type }: BsonElement): string {
  // a document of one element whose name has one letter
  const document = Buffer.alloc(end - start + 8);
  document.writeInt32LE(document.length);
  document[4] = type;
  document.write('v', 5);
  stored.copy(document, 7, start, end);
  return showField(document);
}
