import { textLiteral, type ColumnType, type TypeFamily } from './column-type.ts';

const few = ['a', "it's", 'back\\slash', 'new\nline', '"double"', 'é', ' both '];
const many = Array.from({ length: 300 }, (_, i) => `label ${i}`);

/** Labels are in CREATE TABLE as plain literals, so that its own character set applies. */
function labelLiteral(label: string): string {
  return `'${label.replaceAll('\\', '\\\\').replaceAll("'", "''").replaceAll('\n', '\\n')}'`;
}

function declare(type: string, labels: readonly string[], charset: string): string {
  return `${type}(${labels.map(labelLiteral).join(',')})${charset === '' ? '' : ` CHARACTER SET ${charset}`}`;
}

/** In addition to its labels: 0, the value of a text that is not one of them. */
function enumeration(labels: readonly string[], charset = ''): ColumnType {
  const numbers = [0, 1, Math.ceil(labels.length / 2), Math.min(255, labels.length), Math.min(256, labels.length)];
  return {
    declaration: declare('ENUM', labels, charset),
    bounds: [...numbers, labels.length].map(String).concat("'none of them'", textLiteral(labels[0] ?? '')),
    random: (random) => String(random.between(0, labels.length)),
  };
}

function set(labels: readonly string[], charset = ''): ColumnType {
  const all = 2n ** BigInt(labels.length) - 1n;
  return {
    declaration: declare('SET', labels, charset),
    bounds: [0n, 1n, all, all >> 1n, (all >> 1n) + 1n].map(String),
    random: (random) =>
      String(BigInt(`0x${random.bytes(8).toString('hex')}`) & BigInt(`0x${random.bytes(8).toString('hex')}`) & all),
  };
}

function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `s${i}`);
}

export const ENUMS: readonly TypeFamily[] = [
  {
    mysql: '`ENUM`',
    json: 'label; the error value is `""`',
    bson: 'string',
    debezium: 'same',
    columns: [
      enumeration(few),
      enumeration(['', ...few, 'with,comma']),
      enumeration(many),
      enumeration(many.slice(0, 255)),
      enumeration(many.slice(0, 256)),
      enumeration(['ж', 'я', 'ё'], 'cp1251'),
      enumeration(['ソ', '表', '十'], 'sjis'),
      enumeration(['😀', 'é'], 'utf16'),
    ],
  },
];

export const SETS: readonly TypeFamily[] = [
  {
    mysql: '`SET`',
    json: 'labels joined by commas, in the column’s order',
    bson: 'string',
    debezium: 'same',
    columns: [
      set(few),
      set(['', 'a', 'b']),
      ...[8, 9, 17, 25, 33, 64].map((count) => set(numbered(count))),
      set(['許', '功', '蓋'], 'big5'),
      set(['é', 'ü'], 'latin1'),
    ],
  },
];
