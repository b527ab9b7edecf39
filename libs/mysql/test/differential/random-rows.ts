/** Numbers from 0 up to 1, the same for the same seed (mulberry32). */
export class RandomNumbers {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  below(count: number): number {
    return Math.floor(this.next() * count);
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)] as Item;
  }

  digits(count: number): string {
    return Array.from({ length: count }, () => String(this.below(10))).join('');
  }

  hex(bytes: number): string {
    return Array.from({ length: bytes }, () => this.below(256).toString(16).padStart(2, '0')).join('');
  }
}

interface RandomColumn {
  readonly type: string;
  /** A value as SQL. */
  readonly value: (random: RandomNumbers) => string;
}

const integer = (type: string, bits: number, unsigned = false): RandomColumn => ({
  type: unsigned ? `${type} UNSIGNED` : type,
  value: (random) => {
    const width = BigInt(1 + random.below(bits));
    const magnitude = BigInt(`0x${random.hex(8)}`) & ((1n << width) - 1n);
    return String(unsigned ? magnitude : BigInt.asIntN(bits, random.below(2) === 0 ? magnitude : -magnitude));
  },
});

const decimal = (precision: number, scale: number): RandomColumn => ({
  type: `DECIMAL(${precision},${scale})`,
  value: (random) => {
    const whole = random.digits(random.below(precision - scale + 1)) || '0';
    const fraction = random.digits(random.below(scale + 1));
    return `${random.pick(['', '-'])}${whole}${fraction === '' ? '' : `.${fraction}`}`;
  },
});

const two = (value: number): string => String(value).padStart(2, '0');

const clock = (random: RandomNumbers): string =>
  [23, 59, 59].map((most) => two(random.pick([0, random.below(most + 1), most]))).join(':');

const fraction = (random: RandomNumbers, digits: number): string =>
  digits === 0 ? '' : `.${random.pick(['0'.repeat(digits), random.digits(digits), '9'.repeat(digits)])}`;

const time = (digits: number): RandomColumn => ({
  type: `TIME(${digits})`,
  value: (random) =>
    `'${random.pick(['', '-'])}${random.pick(['00', '01', two(random.below(100)), String(100 + random.below(738))])}${clock(random).slice(2)}${fraction(random, digits)}'`,
});

const date = (random: RandomNumbers): string =>
  random.below(20) === 0
    ? random.pick(['0000-00-00', '9999-12-31', '2024-02-29', '2020-00-00'])
    : `${random.digits(3)}1-${two(1 + random.below(12))}-${two(1 + random.below(28))}`;

const datetime = (digits: number): RandomColumn => ({
  type: `DATETIME(${digits})`,
  value: (random) => `'${date(random)} ${clock(random)}${fraction(random, digits)}'`,
});

const timestamp = (digits: number): RandomColumn => ({
  type: `TIMESTAMP(${digits}) NULL`,
  value: (random) =>
    `'${1971 + random.below(66)}-${two(1 + random.below(12))}-${two(1 + random.below(28))} ${clock(random)}${fraction(random, digits)}'`,
});

const LETTERS = ['a', 'Z', '9', ' ', '"', '\\', "'", '\n', '\t', 'é', 'ß'];
const WIDE = [...LETTERS, '€', 'ж', '漢', '\u2028'];
const WIDEST = [...WIDE, '😀', '𝒳'];

function words(random: RandomNumbers, letters: readonly string[], most: number): string {
  return Array.from({ length: random.below(most + 1) }, () => random.pick(letters)).join('');
}

/** By its bytes, whatever the SQL mode makes of quotes and backslashes. */
function literal(text: string): string {
  return `_utf8mb4 X'${Buffer.from(text).toString('hex')}'`;
}

const text = (type: string, letters: readonly string[], most: number): RandomColumn => ({
  type,
  value: (random) => literal(words(random, letters, most)),
});

const bytes = (type: string, most: number): RandomColumn => ({
  type,
  value: (random) => `X'${random.hex(random.below(most + 1))}'`,
});

const labels = (prefix: string, count: number): string =>
  Array.from({ length: count }, (_, i) => `'${prefix}${i}'`).join(',');

function json(random: RandomNumbers, depth: number): unknown {
  switch (random.below(depth === 0 ? 6 : 8)) {
    case 0:
      return random.pick([null, true, false]);
    case 1:
      return random.below(2 ** 32) - 2 ** 31;
    case 2:
      return random.below(100_000) / 2 ** random.below(12);
    case 3:
      return words(random, WIDEST, 10);
    case 4:
      return words(random, LETTERS, 300);
    case 5:
      return -(random.next() * 10 ** random.below(20));
    case 6:
      return Array.from({ length: random.below(4) }, () => json(random, depth - 1));
    default:
      return Object.fromEntries(
        Array.from({ length: random.below(4) }, () => [
          random.pick(['a', 'bb', 'key', '9', '10', '', 'é']),
          json(random, depth - 1),
        ]),
      );
  }
}

const point = (random: RandomNumbers): string => `${random.below(2000) / 8} ${-random.below(2000) / 16}`;

/** Columns by table: every type that zongji reads, in groups. */
export const RANDOM_TABLES: Readonly<Record<string, readonly RandomColumn[]>> = {
  numbers: [
    integer('TINYINT', 8),
    integer('SMALLINT', 16),
    integer('MEDIUMINT', 24),
    integer('INT', 32),
    integer('BIGINT', 64),
    integer('TINYINT', 8, true),
    integer('SMALLINT', 16, true),
    integer('MEDIUMINT', 24, true),
    integer('INT', 32, true),
    integer('BIGINT', 64, true),
    decimal(9, 2),
    decimal(38, 19),
    decimal(65, 0),
    decimal(30, 30),
    { type: 'FLOAT', value: (random) => String((random.next() - 0.5) * 10 ** (random.below(60) - 30)) },
    { type: 'FLOAT', value: (random) => String(random.below(2 ** 20) / 2 ** random.below(10)) },
    {
      type: 'DOUBLE',
      value: (random) => `${(random.next() - 0.5) * 10 ** (random.below(600) - 300)}e0`.replace(/e(.*)e0$/, 'e$1'),
    },
    { type: 'BIT(1)', value: (random) => `b'${random.below(2)}'` },
    { type: 'BIT(17)', value: (random) => String(random.below(2 ** 17)) },
    { type: 'BIT(64)', value: (random) => `0x${random.hex(8)}` },
    { type: 'YEAR', value: (random) => String(random.pick([0, 1901, 2155, 1901 + random.below(255)])) },
  ],
  times: [
    { type: 'DATE', value: (random) => `'${date(random)}'` },
    ...[0, 1, 2, 3, 4, 5, 6].map(time),
    ...[0, 1, 2, 3, 4, 5, 6].map(datetime),
    ...[0, 1, 2, 3, 4, 5, 6].map(timestamp),
  ],
  texts: [
    text('CHAR(10)', WIDEST, 10),
    text('VARCHAR(40)', WIDEST, 40),
    text('VARCHAR(300)', WIDEST, 300),
    text('TEXT', WIDEST, 100),
    text('LONGTEXT', LETTERS, 400),
    text('VARCHAR(30) CHARACTER SET utf8mb3', WIDE, 30),
    text('CHAR(10) CHARACTER SET ucs2', WIDE, 10),
    text('VARCHAR(30) CHARACTER SET utf16', WIDEST, 30),
    text('TEXT CHARACTER SET utf16le', WIDEST, 30),
    text('CHAR(10) CHARACTER SET utf32', WIDEST, 10),
    {
      type: 'VARCHAR(12) CHARACTER SET latin1',
      value: (random) => `CONVERT(_latin1 X'${random.hex(random.below(5))}' USING latin1)`,
    },
    text('VARCHAR(20) CHARACTER SET cp1251', ['a', 'ж', 'Я', '€', '№'], 20),
    text('VARCHAR(20) CHARACTER SET gbk', ['a', '漢', '字', '\\'], 20),
    bytes('BINARY(8)', 8),
    bytes('VARBINARY(20)', 20),
    bytes('VARBINARY(300)', 300),
    bytes('BLOB', 100),
  ],
  others: [
    { type: "ENUM('a', 'b,c', 'é', 'it''s')", value: (random) => String(random.below(5)) },
    { type: `ENUM(${labels('v', 300)})`, value: (random) => String(1 + random.below(300)) },
    { type: "SET('x', 'y', 'é')", value: (random) => String(random.below(8)) },
    { type: `SET(${labels('s', 64)})`, value: (random) => `CAST(0x${random.hex(8)} AS UNSIGNED)` },
    { type: 'JSON', value: (random) => `CAST(${literal(JSON.stringify(json(random, 3)))} AS JSON)` },
    { type: 'POINT', value: (random) => `ST_GeomFromText('POINT(${point(random)})')` },
    { type: 'GEOMETRY', value: (random) => `ST_GeomFromText('LINESTRING(${point(random)}, ${point(random)})')` },
  ],
};

export function createStatement(table: string, columns: readonly RandomColumn[]): string {
  return `CREATE TABLE ${table} (id INT PRIMARY KEY, ${columns.map(({ type }, i) => `c${i} ${type}`).join(', ')})`;
}

/** Rows of these ids with random values, in one statement; rows that are there are updated. */
export function upsertStatement(
  table: string,
  columns: readonly RandomColumn[],
  ids: readonly number[],
  random: RandomNumbers,
): string {
  const rows = ids.map((id) => {
    const values = columns.map((column) => (random.below(8) === 0 ? 'NULL' : column.value(random)));
    return `(${[id, ...values].join(', ')})`;
  });
  const assignments = columns.map((_, i) => `c${i} = n.c${i}`);
  return `INSERT INTO ${table} VALUES ${rows.join(', ')} AS n ON DUPLICATE KEY UPDATE ${assignments.join(', ')}`;
}
