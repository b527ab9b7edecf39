import { type CanonicalValue, type Column, type Row, type TableLayout } from '#change-events';
import { quoteIdentifier, quoteText } from './quoting.ts';

/** SQL for `column = value` and `column > value`, in the order of the column's own index. */
interface Comparison {
  readonly equal: string;
  readonly greater: string;
}

function compare(name: string, literal: string): Comparison {
  return { equal: `${name} = ${literal}`, greater: `${name} > ${literal}` };
}

/** A double literal: decimal text alone would be a DECIMAL. */
function doubleLiteral(value: number): string {
  const text = String(value);
  return text.includes('e') ? text : `${text}e0`;
}

/** The text goes into the statement as it is. */
function decimalLiteral(text: string): string {
  if (!/^-?\d+(\.\d+)?$/.test(text)) throw new TypeError('a DECIMAL in a key must be written in digits');
  return text;
}

/** Indexes order ENUM by its number; a list of the labels after the bound can use the index, `column + 0` can't. */
function compareEnum(name: string, column: Column, label: string): Comparison {
  const number = column.labels.indexOf(label) + 1;
  const behind = column.labels.slice(number).map(quoteText);
  return {
    equal: number === 0 ? `${name} = 0` : `${name} = ${quoteText(label)}`,
    greater: behind.length === 0 ? 'FALSE' : `${name} IN (${behind.join(', ')})`,
  };
}

function setNumber(column: Column, text: string): bigint {
  if (text === '') return 0n;
  return text.split(',').reduce((bits, label) => bits | (1n << BigInt(column.labels.indexOf(label))), 0n);
}

export function compareColumn(column: Column, value: CanonicalValue): Comparison {
  const name = quoteIdentifier(column.name);
  switch (column.kind) {
    case 'integer':
    case 'bigint':
      return compare(name, String(value));
    case 'decimal':
      return compare(name, decimalLiteral(String(value)));
    case 'float':
      // the index holds the 32-bit value, not its shortest text
      return compare(name, doubleLiteral(Math.fround(Number(value))));
    case 'double':
      return compare(name, doubleLiteral(Number(value)));
    case 'boolean':
      return compare(name, value === true ? '1' : '0');
    case 'bits':
      return compare(name, `0x${(value as Buffer).toString('hex')} + 0`);
    case 'bytes':
    case 'geometry': // in a key on MariaDB only
      return compare(name, (value as Buffer).length === 0 ? "''" : `X'${(value as Buffer).toString('hex')}'`);
    case 'enum':
      return compareEnum(name, column, String(value));
    case 'set':
      return compare(`(${name} + 0)`, String(setNumber(column, String(value))));
    case 'datetime':
      return compare(name, quoteText(String(value).replace('T', ' ')));
    case 'timestamp':
      return compare(name, quoteText(String(value).replace('T', ' ').replace('Z', '')));
    case 'text':
    case 'date':
    case 'time':
      // text takes the column's character set and collation, date and time their type
      return compare(name, quoteText(String(value)));
    case 'json':
    case 'vector':
      throw new TypeError(`${column.name}: a column of type ${column.type} in a key`);
  }
}

/** Rows after `after` in key order: (k1 > a) OR (k1 = a AND k2 > b) OR …, which the optimizer can range over. */
export function keyIsBehind(layout: TableLayout, after: readonly CanonicalValue[]): string {
  const comparisons = layout.key.map((index, i) => {
    const column = layout.columns[index];
    if (column === undefined) throw new RangeError(`no column ${index} in ${layout.database}.${layout.table}`);
    return compareColumn(column, after[i] ?? null);
  });
  const alternatives = comparisons.map(({ greater }, i) =>
    [...comparisons.slice(0, i).map(({ equal }) => equal), greater].join(' AND '),
  );
  const [first] = comparisons;
  const behind = alternatives.map((alternative) => `(${alternative})`).join(' OR ');
  // the leading bound again on its own, so that the range starts at it
  if (first === undefined || comparisons.length === 1) return behind;
  return `(${first.greater} OR ${first.equal}) AND (${behind})`;
}

/** Rows with one of these keys (whole rows are given), and whatever their columns' collations take for equal. */
export function keyIsOneOf(layout: TableLayout, rows: readonly Row[]): string {
  const alternatives = rows.map((row) =>
    layout.key
      .map((index) => {
        const column = layout.columns[index];
        if (column === undefined) throw new RangeError(`no column ${index} in ${layout.database}.${layout.table}`);
        return compareColumn(column, row[index] ?? null).equal;
      })
      .join(' AND '),
  );
  return alternatives.length === 0 ? 'FALSE' : alternatives.map((alternative) => `(${alternative})`).join(' OR ');
}

/** With the table's name: a bare name in ORDER BY would mean the column of the select list that has it. */
export function keyOrder({ table, columns, key }: TableLayout): string {
  return key.map((index) => `${quoteIdentifier(table)}.${quoteIdentifier(columns[index]?.name ?? '')}`).join(', ');
}
