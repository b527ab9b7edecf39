import { type ColumnCondition, type RowSelection } from './row-scope.ts';
import { type CanonicalValue, type Column, type Row, type TableLayout } from './table-layout.ts';

/**
 * Whether a row may belong to a selection. False only where that is certain: types whose values have an order that does
 * not depend on the source (integers, DECIMAL, BIT(1), DATE). Of `row` the columns of the key are there, the others only
 * if it is `whole`.
 */
export function mayBelong(layout: TableLayout, selection: RowSelection, row: Row, isWhole: boolean): boolean {
  if (selection.kind === 'range') {
    const { from, to } = selection;
    return !(compareKeys(layout, row, from) < 0) && !(compareKeys(layout, row, to) > 0);
  }
  return selection.conditions.every((condition) => {
    const index = layout.columns.findIndex(({ name }) => name === condition.column.name);
    return index < 0 || !(isWhole || layout.key.includes(index)) || mayFulfil(condition, row[index]);
  });
}

/** Whether it can't be told without the columns that are not in the key. */
export function needsWholeRow({ columns, key }: TableLayout, selection: RowSelection): boolean {
  const isInKey = (name: string): boolean => key.some((index) => columns[index]?.name === name);
  return selection.kind === 'filter' && selection.conditions.some(({ column }) => !isInKey(column.name));
}

/** NaN where it is not known, or there is no bound. */
function compareKeys({ columns, key }: TableLayout, row: Row, bound: Row | null): number {
  if (bound === null) return NaN;
  for (const [i, index] of key.entries()) {
    const order = compareValues(columns[index], row[index], bound[i]);
    if (order !== 0) return order;
  }
  return 0;
}

function mayFulfil({ column, op, values }: ColumnCondition, value: CanonicalValue | undefined): boolean {
  // the JSON document null is not NULL
  if (value === undefined || column.kind === 'json') return true;
  if (op === 'is null') return value === null;
  if (value === null) return false;
  if (op === 'is not null') return true;
  const orders = values.map((operand) => compareValues(column, value, operand));
  if (orders.some((order) => Number.isNaN(order))) return true;
  const [order = NaN] = orders;
  switch (op) {
    case 'in':
      return orders.includes(0);
    case '=':
      return order === 0;
    case '!=':
      return order !== 0;
    case '<':
      return order < 0;
    case '<=':
      return order <= 0;
    case '>':
      return order > 0;
    case '>=':
      return order >= 0;
  }
}

/** NaN where only the source knows. */
function compareValues(
  column: Column | undefined,
  a: CanonicalValue | undefined,
  b: CanonicalValue | undefined,
): number {
  if (a == null || b == null) return NaN;
  const kind = column?.kind;
  if (kind === 'integer' || kind === 'bigint') return order(BigInt(String(a)), BigInt(String(b)));
  if (kind === 'decimal') return compareDecimals(String(a), String(b));
  if (kind === 'boolean') return order(Number(a), Number(b));
  return kind === 'date' ? order(String(a), String(b)) : NaN;
}

function compareDecimals(a: string, b: string): number {
  const [aFraction = '', bFraction = ''] = [a, b].map((text) => text.split('.')[1] ?? '');
  const digits = Math.max(aFraction.length, bFraction.length);
  const scale = (text: string, fraction: string): bigint =>
    BigInt(text.replace('.', '') + '0'.repeat(digits - fraction.length));
  return order(scale(a, aFraction), scale(b, bFraction));
}

function order<T extends bigint | number | string>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
