import { type BigintMode, type Column, type TableLayout, type TextColumn, type TextRows } from '#change-events';
import { writeBase64 } from './base64-writer.ts';
import { isUnrolled, labelCode, labelOf, labelUnits, nullCode, writeLabel } from './json-members.ts';
import { TextBound } from './text-bound.ts';
import {
  writeDateTimeText,
  writeGeometryText,
  writeNumberText,
  writeQuoted,
  writeStringified,
  writeVectorText,
} from './text-value-writers.ts';
import { writeBoolean, writeDouble, writeUtf8 } from './value-writers.ts';

/**
 * Writes columns of row `index` as a JSON object into `o` from `p` on; returns the end. `b` is the buffer of the row, the
 * views are views of the whole buffers; `kept`: the values of columns that are kept as values, row by row.
 */
export type TextJsonWriter = (
  rows: TextRows,
  index: number,
  kept: readonly unknown[],
  b: Buffer,
  v: DataView,
  o: Buffer,
  w: DataView,
  p: number,
) => number;

/** What the generated code calls, as `h.<name>`. */
const HELPERS = {
  writeLabel,
  writeNumberText,
  writeQuoted,
  writeDateTimeText,
  writeGeometryText,
  writeVectorText,
  writeStringified,
  writeBase64,
  writeBoolean,
  writeDouble,
  writeUtf8,
};

interface TextJsonWriters {
  readonly row: TextJsonWriter;
  /** Null for a table without a key. */
  readonly key: TextJsonWriter | null;
}

/** Everything that is compiled for rows that come as texts; the writers when they are first needed. */
export class TextCodec {
  readonly bound: TextBound;
  /** Indexes of the columns whose values are made when the rows have been read: only so is it known that they can be. */
  readonly kept: readonly number[];
  /** Of each column its place in `kept`; -1 for others. */
  readonly keptAt: readonly number[];
  /** Indexes of the columns whose bytes must be UTF-8. */
  readonly texts: readonly number[];
  readonly #layout: TableLayout;
  readonly #columns: readonly TextColumn[];
  readonly #writers: Partial<Record<BigintMode, TextJsonWriters>> = {};

  constructor(layout: TableLayout, columns: readonly TextColumn[]) {
    this.#layout = layout;
    this.#columns = columns;
    this.bound = new TextBound(layout);
    const indexes = [...layout.columns.keys()];
    this.kept = indexes.filter((index) => isKept(layout.columns[index] as Column, columns[index] as TextColumn));
    this.keptAt = indexes.map((index) => this.kept.indexOf(index));
    this.texts = indexes.filter((index) => layout.columns[index]?.kind === 'text' && this.keptAt[index] === -1);
  }

  writers(bigint: BigintMode): TextJsonWriters {
    const { key, columns } = this.#layout;
    return (this.#writers[bigint] ??= {
      row: this.#compile([...columns.keys()], bigint, false),
      key: key.length === 0 ? null : this.#compile(key, bigint, true),
    });
  }

  #compile(indexes: readonly number[], bigint: BigintMode, isKey: boolean): TextJsonWriter {
    const labels: Int32Array[] = [];
    const count = this.#columns.length;
    const lines = indexes.map((index, i) => {
      const column = this.#layout.columns[index] as Column;
      const keptAt = this.keptAt[index] as number;
      const { isQuoted, code } = keptAt < 0 ? textCode(column, index, bigint, isKey) : KEPT;
      const label = labelOf(column.name, i === 0, isQuoted);
      labels.push(labelUnits(label));
      const place = `s = q[at + ${2 * index}]; e = q[at + ${2 * index + 1}];`;
      const value = keptAt < 0 ? code : `x = kept[index * ${this.kept.length} + ${keptAt}]; ${code}`;
      return `${labelCode(i, label.length, isUnrolled(indexes.length))} ${place} if (s === -1) { ${nullCode(isQuoted)} } else { ${value} }`;
    });
    const body = [
      '"use strict";',
      ...labels.map((_, i) => `const l${i} = l[${i}];`),
      ...indexes
        .map((index) => `const c${index} = c[${index}].decode;`)
        .filter((line, i, all) => all.indexOf(line) === i),
      'return function writeTexts(rows, index, kept, b, v, o, w, p) {',
      `const q = rows.places, at = index * ${2 * count}; let s = 0, e = 0, x;`,
      ...lines,
      'w.setUint8(p++, 125);',
      'return p;',
      '};',
    ].join('\n');
    // eslint-disable-next-line @typescript-eslint/no-implied-eval -- compiled once for each layout; names are in the labels
    const make = new Function('h', 'c', 'l', body) as (
      helpers: typeof HELPERS,
      columns: readonly TextColumn[],
      units: readonly Int32Array[],
    ) => TextJsonWriter;
    return make(HELPERS, this.#columns, labels);
  }
}

/** Whether only `decode` knows what the bytes of a value mean, and whether they mean anything. */
function isKept({ kind }: Column, { isPlain }: TextColumn): boolean {
  return kind === 'json' || (kind === 'text' && !isPlain);
}

interface ValueCode {
  /** The JSON is always a string: its opening quote is written with the name before it. */
  readonly isQuoted: boolean;
  /** Code that writes the value between `s` and `e` of `b` and `v` to `p` of `o` and `w`, and moves `p` past it. */
  readonly code: string;
}

const CLOSE = 'w.setUint8(p++, 34);';
const KEPT: ValueCode = { isQuoted: false, code: 'p = h.writeStringified(o, p, x);' };
const QUOTED: ValueCode = { isQuoted: true, code: `p = h.writeQuoted(v, s, e, w, p); ${CLOSE}` };
const NUMBER: ValueCode = { isQuoted: false, code: 'p = h.writeNumberText(v, s, e, w, p);' };
const QUOTED_NUMBER: ValueCode = { isQuoted: true, code: `p = h.writeNumberText(v, s, e, w, p); ${CLOSE}` };

function textCode({ kind }: Column, index: number, bigint: BigintMode, isKey: boolean): ValueCode {
  switch (kind) {
    case 'integer':
      return NUMBER;
    case 'bigint':
      return bigint === 'string' ? QUOTED_NUMBER : NUMBER;
    case 'decimal':
      return QUOTED_NUMBER;
    // as a key, -0 is 0
    case 'float':
    case 'double':
      return { isQuoted: false, code: `p = h.writeDouble(w, p, c${index}(b, s, e)${isKey ? ' + 0' : ''});` };
    case 'date':
    case 'time':
      return QUOTED;
    case 'datetime':
      return { isQuoted: true, code: `p = h.writeDateTimeText(v, s, e, w, p); ${CLOSE}` };
    case 'timestamp':
      return { isQuoted: true, code: `p = h.writeDateTimeText(v, s, e, w, p); w.setUint8(p++, 90); ${CLOSE}` };
    case 'boolean':
      return { isQuoted: false, code: 'p = h.writeBoolean(w, p, v.getUint8(s) !== 0);' };
    case 'bits':
    case 'bytes':
      return { isQuoted: true, code: `p = h.writeBase64(v, s, e, w, p); ${CLOSE}` };
    case 'geometry':
      return { isQuoted: false, code: 'p = h.writeGeometryText(b, s, e, o, p);' };
    case 'vector':
      return { isQuoted: false, code: 'p = h.writeVectorText(b, s, e, o, p);' };
    case 'text':
    case 'enum':
    case 'set':
      return { isQuoted: true, code: 'p = h.writeUtf8(b, v, s, e, w, p);' };
    case 'json':
      return KEPT;
  }
}
