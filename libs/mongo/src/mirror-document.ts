import { type Row, type RowChange, type TableChange, type TableLayout } from '#change-events';
import { type BsonEncoder, encodeBsonValue, findBsonEncoder } from './bson-value.ts';

/** A document of the mirror: with `row` while the row lives, with `deletedAt` (a tombstone) after that. */
export interface MirrorDocument {
  readonly _id: unknown;
  readonly row?: unknown;
  /** Version of the last change, 44 hexadecimal digits. */
  readonly v: string;
  /** Commit time of the last change. */
  readonly ts?: Date;
  readonly gtid: string | null;
  /** When the tombstone was made, by Ditto's clock. */
  readonly deletedAt?: Date;
}

/** Equal, as keys of a Map are, exactly when the canonical keys are equal. */
export type KeyIdentity = string | number | bigint;

/** What the driver or JavaScript would not keep as a plain property: integer-like names lose their place. */
const UNSAFE_NAME = /^(?:\d+|__proto__|_bsontype|toBSON)$/;

/** Makes the documents of one table as one layout describes it; compiled once per layout. */
export class DocumentEncoder {
  /** A table without a key has no documents; only `rowBytes` may be called. */
  readonly isKeyed: boolean;
  /** Key of `row` for grouping and choosing a lane. */
  readonly identity: (row: Row) => KeyIdentity;
  /** `_id` of `row`: the bare value of a single key column, else an embedded document in key order. */
  readonly id: (row: Row) => unknown;
  /** Rough size in memory; an estimate for bounds, not a promise. */
  readonly rowBytes: (row: Row) => number;
  private readonly row: (row: Row) => unknown;

  constructor(layout: TableLayout) {
    this.isKeyed = layout.key.length > 0;
    this.identity = compileIdentity(layout);
    this.id = compileId(layout);
    this.rowBytes = compileRowBytes(layout);
    this.row = compileObject(layout, [...layout.columns.keys()], (name) => name);
  }

  upsert(row: Row, change: RowChange, version: string): MirrorDocument {
    const { commitMicros, gtid } = change.transaction;
    return { _id: this.id(row), row: this.row(row), v: version, ts: new Date(Math.floor(commitMicros / 1000)), gtid };
  }

  tombstone(row: Row, change: RowChange, version: string, nowMs: number): MirrorDocument {
    return { _id: this.id(row), ...tombstoneFields(change, version, nowMs) };
  }
}

/** The parts of a tombstone besides its `_id`. */
export function tombstoneFields(
  change: RowChange | TableChange,
  version: string,
  nowMs: number,
): Omit<MirrorDocument, '_id'> {
  return { v: version, gtid: change.transaction.gtid, deletedAt: new Date(nowMs) };
}

/** MongoDB refuses names that begin with `$` inside `_id`; they are escaped there as topics escape characters. */
function idFieldName(name: string): string {
  return name.startsWith('$') ? `_x0024${name.slice(1)}` : name;
}

function compileId(layout: TableLayout): (row: Row) => unknown {
  const [first, ...others] = layout.key;
  if (first === undefined) return () => undefined;
  if (others.length > 0) return compileObject(layout, layout.key, idFieldName);
  const column = layout.columns[first];
  if (column === undefined) throw new RangeError(`no column ${first} in ${layout.database}.${layout.table}`);
  return (row) => encodeBsonValue(column, row[first] ?? null);
}

/**
 * An encoder of the given columns as one object literal in generated source, so that all rows share one hidden class;
 * names reach the source only as JSON string literals.
 */
function compileObject(
  layout: TableLayout,
  indexes: readonly number[],
  rename: (name: string) => string,
): (row: Row) => unknown {
  const columns = indexes.map((index) => {
    const column = layout.columns[index];
    if (column === undefined) throw new RangeError(`no column ${index} in ${layout.database}.${layout.table}`);
    return { index, name: rename(column.name), encode: findBsonEncoder(column) };
  });
  if (columns.some(({ name }) => UNSAFE_NAME.test(name)))
    return (row) => new Map(columns.map(({ index, name, encode }) => [name, encodeWith(encode, row[index])]));
  const fields = columns.map(({ index, name, encode }, place) => {
    const value = `row[${index}]`;
    return `${JSON.stringify(name)}: ${encode === null ? value : `${value} === null ? null : encode${place}(${value})`}`;
  });
  const names = columns.map((_, place) => `encode${place}`);
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- compiled once per layout; see above
  const make = new Function(...names, `"use strict"; return (row) => ({ ${fields.join(', ')} });`) as (
    ...encoders: (BsonEncoder | null)[]
  ) => (row: Row) => unknown;
  return make(...columns.map(({ encode }) => encode));
}

function encodeWith(encode: BsonEncoder | null, value: unknown): unknown {
  return value === null || encode === null ? value : encode(value as never);
}

function compileIdentity({ key }: TableLayout): (row: Row) => KeyIdentity {
  const [first, ...others] = key;
  if (first === undefined) return () => '';
  if (others.length === 0) {
    return (row) => {
      const value = row[first];
      return typeof value === 'number' || typeof value === 'string' || typeof value === 'bigint'
        ? value
        : partText(value);
    };
  }
  return (row) => {
    let text = '';
    for (const index of key) {
      const part = partText(row[index]);
      text += `${part.length}:${part}`;
    }
    return text;
  };
}

function partText(value: unknown): string {
  return Buffer.isBuffer(value) ? value.toString('latin1') : String(value);
}

function compileRowBytes({ columns }: TableLayout): (row: Row) => number {
  const fixed = 64 + 16 * columns.length;
  const variable = columns.flatMap(({ kind }, index) =>
    ['integer', 'float', 'double', 'boolean'].includes(kind) ? [] : [index],
  );
  return (row) => {
    let bytes = fixed;
    for (const index of variable) {
      const value = row[index];
      if (typeof value === 'string' || Buffer.isBuffer(value)) bytes += value.length + 16;
    }
    return bytes;
  };
}
