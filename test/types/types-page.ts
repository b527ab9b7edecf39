import { FAMILIES, TABLES } from './matrix.ts';
import { CHARACTER_SETS } from './texts.ts';

const BEGIN = '<!-- generated: npm run docs -->';
const END = '<!-- end of what is generated -->';

/** Values rather than types: they occur in columns of several families. */
const OF_MANY_TYPES = [
  {
    mysql: 'zero dates: `0000-00-00`, `2026-00-01`',
    json: 'as they are: `"0000-00-00"`, `"0000-00-00T00:00:00Z"`',
    bson: 'string',
    debezium: 'null in a nullable column, else 1970-01-01',
  },
  { mysql: '`NULL`', json: '`null`', bson: 'null', debezium: 'same' },
];

function line(cells: readonly string[], widths: readonly number[]): string {
  return `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`;
}

function renderTable(): string {
  const head = ['MySQL', 'JSON in Kafka', 'BSON in the mirror', 'Debezium’s default'];
  const rows = [...FAMILIES, ...OF_MANY_TYPES].map(({ mysql, json, bson, debezium }) => [mysql, json, bson, debezium]);
  const widths = head.map((_, i) => Math.max(...[head, ...rows].map((cells) => (cells[i] ?? '').length)));
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  return [line(head, widths), rule, ...rows.map((cells) => line(cells, widths))].join('\n');
}

function renderTested(): string {
  const columns = TABLES.flatMap(({ columns: declared }) => declared);
  const sets = CHARACTER_SETS.map((charset) => `\`${charset}\``).join(', ');
  return [
    `The table is written from the declarations by which it is tested (\`test/types\`): ${columns.length} columns in ${TABLES.length} tables with as many kinds of keys. The copy of each value that the snapshot reads, the copy that the log carries, the document, and what MySQL itself says are compared with each other.`,
    '',
    `Text is read from each of MySQL’s character sets: ${sets}. A code for which the server has no character is an error, and so is, in a key, a second code for a character that the server itself writes otherwise (\`cp932\` has 396 of them): two rows would have one key.`,
  ].join('\n');
}

/** The page with what is generated in it as the matrix says. */
export function renderTypesPage(page: string): string {
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin === -1 || end < begin) throw new Error(`docs/types.md lacks "${BEGIN}" or "${END}".`);
  return `${page.slice(0, begin)}${BEGIN}\n\n${renderTable()}\n\n${renderTested()}\n\n${page.slice(end)}`;
}
