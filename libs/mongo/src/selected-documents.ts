import {
  type CanonicalValue,
  type Column,
  type ColumnCondition,
  type RowSelection,
  type TableLayout,
} from '#change-events';
import { mongo } from 'mongoose';

export interface SelectedDocuments {
  /** Every document of the selection fulfils it. */
  readonly filter: mongo.Document;
  /** Whether no other one does. */
  readonly isExact: boolean;
}

/** Precision up to which a DECIMAL is a number in the mirror. */
const DECIMAL128_DIGITS = 34;
/** Integers that Decimal128 holds. */
const MOST_DIGITS = 34;

/**
 * A selection as MongoDB can tell it: where values have one order and one equality in both. Texts have not (collations),
 * nor has what is stored in another form than it is compared in; such conditions are left out.
 */
export function selectDocuments(layout: TableLayout, selection: RowSelection): SelectedDocuments {
  const conditions =
    selection.kind === 'filter' ? selection.conditions.map(toCondition) : [toIdRange(layout, selection)];
  const known = conditions.filter((condition) => condition !== null);
  return { filter: known.length === 0 ? {} : { $and: known }, isExact: known.length === conditions.length };
}

const OPERATORS = { '=': '$eq', '<': '$lt', '<=': '$lte', '>': '$gt', '>=': '$gte' } as const;

/** Null where MongoDB can't tell. */
function toCondition({ column, op, values }: ColumnCondition): mongo.Document | null {
  // the JSON document null is not NULL
  if (column.kind === 'json' || /^$|[.$\0]/.test(column.name)) return null;
  const field = `row.${column.name}`;
  // of a column that the document lacks nothing is known
  if (op === 'is null') return { [field]: { $type: 'null' } };
  if (op === 'is not null') return { [field]: { $exists: true, $not: { $type: 'null' } } };
  const operands = values.map((value) => toComparable(column, value));
  if (operands.includes(undefined)) return null;
  if (op === '!=') return { [field]: { $exists: true, $nin: [...operands, null] } };
  if (op === 'in') return { [field]: { $in: operands } };
  return { [field]: { [OPERATORS[op]]: operands[0] } };
}

/** By the first column of the key: what is beyond it in the others is listed too. */
function toIdRange(layout: TableLayout, { from, to }: Extract<RowSelection, { kind: 'range' }>): mongo.Document | null {
  const column = layout.columns[layout.key[0] ?? -1];
  if (column === undefined || /^$|[.$\0]/.test(column.name)) return null;
  const bound = (operator: '$gte' | '$lte', key: readonly CanonicalValue[] | null): mongo.Document | null => {
    if (key === null) return {};
    const value = toComparable(column, key[0] ?? null);
    return value === undefined ? null : { [operator]: value };
  };
  const [lower, upper] = [bound('$gte', from), bound('$lte', to)];
  if (lower === null || upper === null) return null;
  const range = { ...lower, ...upper };
  if (Object.keys(range).length === 0) return {};
  return { [layout.key.length === 1 ? '_id' : `_id.${column.name}`]: range };
}

/** Undefined where MongoDB compares otherwise than the source. */
function toComparable(column: Column, value: CanonicalValue): unknown {
  switch (column.kind) {
    case 'integer':
    case 'bigint':
      return typeof value === 'number' || typeof value === 'bigint' ? toNumber(String(value)) : undefined;
    case 'decimal':
      return column.precision > 0 && column.precision <= DECIMAL128_DIGITS ? toNumber(String(value)) : undefined;
    case 'boolean':
    case 'date':
      return value;
    case 'float':
    case 'double':
    case 'text':
    case 'bytes':
    case 'bits':
    case 'time':
    case 'datetime':
    case 'timestamp':
    case 'enum':
    case 'set':
    case 'json':
    case 'geometry':
    case 'vector':
      return undefined;
  }
}

/** Numbers of all types have one order. */
function toNumber(text: string): mongo.Decimal128 | undefined {
  return text.replace(/\D/g, '').length <= MOST_DIGITS ? mongo.Decimal128.fromString(text) : undefined;
}
