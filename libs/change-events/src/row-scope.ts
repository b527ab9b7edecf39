import { DittoError } from '#kernel';
import { DATE, DATETIME, TIME } from './canonical-form.ts';
import { type CanonicalValue, type Column, type ColumnKind, type Row, type TableLayout } from './table-layout.ts';

/** A value as it comes in JSON. Integers beyond 2^53 and bytes (base64) are texts; every other value may be one too. */
export type ScopeValue = string | number | boolean;

export type ConditionOperator = '=' | '!=' | '<' | '<=' | '>' | '>=' | 'in' | 'is null' | 'is not null';

/** What a column of a row must be. As in SQL, NULL fulfils nothing but `is null`. */
export interface ScopeCondition {
  readonly column: string;
  readonly op: ConditionOperator;
  /** A list for `in`; nothing for `is null` and `is not null`. */
  readonly value?: ScopeValue | readonly ScopeValue[] | undefined;
}

/** Some rows of a table. Only a layout says what the values are: `decodeSelection`. */
export type RowScope =
  /** The rows with these keys (`encodeKeyValues`). */
  { readonly kind: 'keys'; readonly keys: readonly string[] } | SelectionScope;

/** Rows that only the source can tell. */
export type SelectionScope =
  /** JSON lists of values in key order; both keys belong to the range. Null: no bound. */
  | { readonly kind: 'range'; readonly from: string | null; readonly to: string | null }
  /** All conditions are fulfilled. */
  | { readonly kind: 'filter'; readonly where: readonly ScopeCondition[] };

/** A scope as requests have it. */
export interface RequestedScope {
  /** Values in key order. */
  readonly keys?: readonly (readonly ScopeValue[])[] | undefined;
  readonly range?: {
    readonly from?: readonly ScopeValue[] | undefined;
    readonly to?: readonly ScopeValue[] | undefined;
  };
  readonly where?: readonly ScopeCondition[] | undefined;
}

/** Null: the whole table. */
export function readRowScope({ keys, range, where }: RequestedScope): RowScope | null {
  if (keys !== undefined) return { kind: 'keys', keys: keys.map((key) => JSON.stringify(key)) };
  if (where !== undefined) return { kind: 'filter', where };
  if (range === undefined) return null;
  const text = (key: readonly ScopeValue[] | undefined): string | null =>
    key === undefined ? null : JSON.stringify(key);
  return { kind: 'range', from: text(range.from), to: text(range.to) };
}

export interface ColumnCondition {
  readonly column: Column;
  readonly op: ConditionOperator;
  /** Safe to compare with values of the column, though not always in the form that rows have. */
  readonly values: readonly NonNullable<CanonicalValue>[];
}

/** A `SelectionScope` that was checked by a layout. Keys are values in key order, as those of conditions. */
export type RowSelection =
  | { readonly kind: 'range'; readonly from: Row | null; readonly to: Row | null }
  | { readonly kind: 'filter'; readonly conditions: readonly ColumnCondition[] };

/** `DITTO_SCOPE_INVALID` when it does not fit the layout. */
export function decodeSelection(layout: TableLayout, scope: SelectionScope): RowSelection {
  if (scope.kind === 'filter')
    return { kind: 'filter', conditions: scope.where.map((condition) => decodeCondition(layout, condition)) };
  const decode = (text: string | null): Row | null => {
    if (text === null) return null;
    const values = parseJson(text);
    const key = layout.key.map((index, i) => {
      const column = layout.columns[index];
      const value: unknown = Array.isArray(values) && values.length === layout.key.length ? values[i] : undefined;
      return column === undefined || !isScopeValue(value) ? undefined : decodeOperand(column, value);
    });
    if (key.includes(undefined)) throw invalid(layout, `${text.slice(0, SHOWN)} is not one of its keys`);
    return key as Row;
  };
  return { kind: 'range', from: decode(scope.from), to: decode(scope.to) };
}

const SHOWN = 200;
/** What a column of each kind is compared by, other than NULL. */
const COMPARED: Readonly<Record<ColumnKind, 'order' | 'equality' | 'nothing'>> = {
  integer: 'order',
  bigint: 'order',
  decimal: 'order',
  float: 'order',
  double: 'order',
  text: 'order',
  bytes: 'order',
  boolean: 'order',
  bits: 'order',
  date: 'order',
  time: 'order',
  datetime: 'order',
  timestamp: 'order',
  enum: 'equality',
  set: 'equality',
  json: 'nothing',
  geometry: 'nothing',
  vector: 'nothing',
};
const OF_ORDER: ReadonlySet<ConditionOperator> = new Set(['<', '<=', '>', '>=']);

function decodeCondition(layout: TableLayout, { column: name, op, value }: ScopeCondition): ColumnCondition {
  const column = layout.columns.find((one) => one.name === name);
  if (column === undefined) throw invalid(layout, `it has no column ${name.slice(0, SHOWN)}`);
  const operands = value === undefined ? [] : Array.isArray(value) ? (value as readonly ScopeValue[]) : [value];
  if (op === 'is null' || op === 'is not null') {
    if (value !== undefined) throw invalid(layout, `${name} ${op} takes no value`);
    return { column, op, values: [] };
  }
  if (Array.isArray(value) !== (op === 'in') || operands.length === 0)
    throw invalid(layout, `${name} ${op} takes ${op === 'in' ? 'a list of values' : 'one value'}`);
  const by = COMPARED[column.kind];
  if (by === 'nothing' || (by === 'equality' && OF_ORDER.has(op)))
    throw invalid(layout, `${name} is ${column.type}, and not compared by ${op}`);
  const values = operands.map((operand) => {
    const decoded = decodeOperand(column, operand as ScopeValue);
    if (decoded === undefined)
      throw invalid(layout, `${JSON.stringify(operand).slice(0, SHOWN)} is no value of ${name} (${column.type})`);
    return decoded;
  });
  return { column, op, values };
}

function decodeOperand(column: Column, value: ScopeValue): NonNullable<CanonicalValue> | undefined {
  const text = String(value);
  switch (column.kind) {
    case 'integer':
    case 'bigint': {
      if (typeof value === 'boolean' || !/^-?\d{1,20}$/.test(text)) return undefined;
      return Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text);
    }
    case 'decimal':
      return typeof value !== 'boolean' && /^-?\d{1,65}(?:\.\d{1,30})?$/.test(text) ? text : undefined;
    case 'float':
    case 'double':
      if (typeof value === 'boolean' || !/^-?\d{1,400}(?:\.\d{1,400})?(?:e[-+]?\d{1,3})?$/i.test(text))
        return undefined;
      return Number.isFinite(Number(text)) ? Number(text) : undefined;
    case 'boolean':
      return /^(?:true|1)$/.test(text) ? true : /^(?:false|0)$/.test(text) ? false : undefined;
    case 'bytes':
    case 'bits':
      return typeof value === 'string' && isBase64(value) ? Buffer.from(value, 'base64') : undefined;
    case 'enum':
      return column.labels.includes(text) ? text : undefined;
    case 'set':
      return text === '' || text.split(',').every((label) => column.labels.includes(label)) ? text : undefined;
    case 'date':
      return DATE.test(text) && isRealDay(text) ? text : undefined;
    case 'time':
      return TIME.test(text) ? text : undefined;
    case 'datetime':
      return decodeDateTime(text);
    case 'timestamp':
      return decodeDateTime(text.replace(/Z$/, ''));
    case 'text':
      return typeof value === 'string' ? value : undefined;
    case 'json':
    case 'geometry':
    case 'vector':
      return undefined;
  }
}

/** Midnight where only the day is given. */
function decodeDateTime(given: string): string | undefined {
  const text = DATE.test(given) ? `${given}T00:00:00` : given.replace(/^(.{10}) /, '$1T');
  return DATETIME.test(text) && isRealDay(text) ? text : undefined;
}

/** MySQL refuses a statement that has another one; 0000-00-00 is one to it, as rows can have it. */
function isRealDay(text: string): boolean {
  const [year = 0, month = 0, day = 0] = text.slice(0, 10).split('-').map(Number);
  if (month === 0 || day === 0) return year === 0 && month === 0 && day === 0;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}

function isScopeValue(value: unknown): value is ScopeValue {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isBase64(text: string): boolean {
  return Buffer.from(text, 'base64').toString('base64') === text;
}

function invalid({ database, table }: TableLayout, why: string): DittoError {
  return new DittoError('DITTO_SCOPE_INVALID', `these rows of ${database}.${table} can not be asked for: ${why}`, {
    remedy:
      'Name columns that the sinks get, and values that these columns can have; docs/operations.md has the rules.',
    context: { database, table },
  });
}
