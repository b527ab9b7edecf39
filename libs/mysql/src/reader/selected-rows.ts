import { type ColumnCondition, type RowSelection, rowOfKey, type TableLayout } from '#change-events';
import { compareColumn, keyIsBehind, keyIsOneOf } from './key-bound.ts';
import { quoteIdentifier } from './quoting.ts';

/** Whether a row belongs to the selection, in SQL: as the source's own types and collations compare. */
export function isSelected(layout: TableLayout, selection: RowSelection): string {
  if (selection.kind === 'filter') return joinAll(selection.conditions.map(fulfils));
  const { from, to } = selection;
  return joinAll([
    ...(from === null ? [] : [`${keyIsBehind(layout, from)} OR ${keyIsOneOf(layout, [rowOfKey(layout, from)])}`]),
    ...(to === null ? [] : [`NOT (${keyIsBehind(layout, to)})`]),
  ]);
}

function joinAll(conditions: readonly string[]): string {
  return conditions.length === 0 ? 'TRUE' : conditions.map((condition) => `(${condition})`).join(' AND ');
}

function fulfils({ column, op, values }: ColumnCondition): string {
  const name = quoteIdentifier(column.name);
  // IS NULL also finds the zero dates of a column that is NOT NULL (MySQL manual, "Comparison Functions and Operators")
  if (op === 'is null') return `${name} <=> NULL`;
  if (op === 'is not null') return `${name} IS NOT NULL`;
  const alternatives = values.map((value) => {
    const { equal, greater } = compareColumn(column, value);
    switch (op) {
      case '=':
      case 'in':
        return equal;
      case '!=':
        return `NOT (${equal})`;
      case '>':
        return greater;
      case '<=':
        return `NOT (${greater})`;
      case '>=':
        return `${greater} OR ${equal}`;
      case '<':
        return `NOT (${greater} OR ${equal})`;
    }
  });
  return alternatives.map((alternative) => `(${alternative})`).join(' OR ');
}
