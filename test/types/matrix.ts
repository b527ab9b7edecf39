import { type ColumnKind } from '#change-events';
import { type ColumnType, type TypeFamily } from './column-type.ts';
import { DOCUMENTS, GEOMETRIES, VECTORS } from './documents.ts';
import { ENUMS, SETS } from './labels.ts';
import { BIGINTS, BITS, BOOLEANS, DECIMALS, DOUBLES, FLOATS, INTEGERS } from './numbers.ts';
import { ASIAN_TEXTS, BYTES, SINGLE_BYTE_TEXTS, UNICODE_TEXTS, UTF8_TEXTS } from './texts.ts';
import { DATES, DATETIMES, TIMES, TIMESTAMPS } from './times.ts';

/** Columns that make a primary key; their values are SQL expressions of a number below 2^17 that identifies a row. */
export interface KeyColumn {
  readonly declaration: string;
  readonly value: (number: string) => string;
}

/** A table of the matrix: columns of some families, after a key of one kind. */
export interface TypeTable {
  readonly name: string;
  readonly key: readonly KeyColumn[];
  readonly columns: readonly ColumnType[];
  /** Definitions of columns that the server fills. */
  readonly generated?: readonly string[];
}

function table(name: string, key: readonly KeyColumn[], families: readonly TypeFamily[]): TypeTable {
  return { name, key, columns: families.flatMap(({ columns }) => columns) };
}

function keyed(declaration: string, value: (number: string) => string): KeyColumn {
  return { declaration, value };
}

const whole = (declaration: string): KeyColumn => keyed(declaration, (number) => number);

export const TABLES: readonly TypeTable[] = [
  {
    ...table('integers', [keyed('INT', (number) => `(${number}) - 60000`)], [...INTEGERS, ...BIGINTS]),
    generated: [
      'g0 BIGINT GENERATED ALWAYS AS (c0 * 2) VIRTUAL',
      'g1 VARCHAR(20) GENERATED ALWAYS AS (CONCAT(c1, _utf8mb4 0xc3a9)) STORED',
      'g2 INT INVISIBLE NOT NULL DEFAULT 7',
    ],
  },
  table('decimals', [keyed('DECIMAL(20,5)', (number) => `(${number}) * 1.00003 - 100`)], DECIMALS),
  table('floats', [keyed('DOUBLE', (number) => `(${number}) / 3e0 - 1e3`)], [...FLOATS, ...DOUBLES]),
  table(
    'bits',
    [keyed('BIGINT UNSIGNED', (number) => `18446744073709551615 - CAST(${number} AS UNSIGNED) * 140000000000000`)],
    [...BOOLEANS, ...BITS],
  ),
  table('dates', [keyed('DATE', (number) => `DATE_ADD('1000-01-01', INTERVAL ${number} DAY)`)], [...DATES, ...TIMES]),
  table(
    'datetimes',
    [
      keyed(
        'DATETIME(6)',
        (number) => `DATE_ADD('2000-01-01 00:00:00.000001', INTERVAL (${number}) * 1000003 MICROSECOND)`,
      ),
    ],
    DATETIMES,
  ),
  table(
    'timestamps',
    [
      keyed(
        'TIMESTAMP(3)',
        (number) => `DATE_ADD('2000-01-01 00:00:00.001', INTERVAL (${number}) * 61001000 MICROSECOND)`,
      ),
    ],
    TIMESTAMPS,
  ),
  table(
    'utf8_texts',
    [keyed('VARCHAR(40) COLLATE utf8mb4_0900_ai_ci', (number) => `CONCAT(_utf8mb4 0x5ac3a9f09f9880, ${number})`)],
    [UTF8_TEXTS],
  ),
  table(
    'unicode_texts',
    [whole('MEDIUMINT'), keyed('CHAR(3) CHARACTER SET utf16', (number) => `CONCAT(_utf8mb4 0xc3a9, (${number}) % 9)`)],
    [UNICODE_TEXTS],
  ),
  table(
    'asian_texts',
    [keyed('VARCHAR(20) CHARACTER SET gbk', (number) => `CONCAT(_utf8mb4 0xe994ae, ${number})`)],
    [ASIAN_TEXTS],
  ),
  table(
    'single_byte_texts',
    [
      keyed(
        'CHAR(12) CHARACTER SET latin1 COLLATE latin1_german1_ci',
        (number) => `CONCAT(_utf8mb4 0xc384, ${number})`,
      ),
    ],
    [SINGLE_BYTE_TEXTS],
  ),
  table('bytes', [keyed('BINARY(8)', (number) => `UNHEX(RPAD(LPAD(HEX(${number}), 6, '0'), 16, '0'))`)], [BYTES]),
  table(
    'labels',
    [
      keyed("ENUM('','a,b','c')", (number) => `(${number}) % 3 + 1`),
      keyed('SMALLINT UNSIGNED', (number) => `(${number}) % 65536`),
      whole('INT'),
    ],
    [...ENUMS, ...SETS],
  ),
  table('documents', [keyed('VARCHAR(30) COLLATE utf8mb4_bin', (number) => `CONCAT('k.$', ${number})`)], [DOCUMENTS]),
  table(
    'geometries',
    [keyed('VARBINARY(12)', (number) => `CONCAT(UNHEX(LPAD(HEX(${number}), 6, '0')), X'00')`)],
    [GEOMETRIES],
  ),
  table('vectors', [whole('BIT(33)'), keyed('YEAR', (number) => `2000 + (${number}) % 100`)], [VECTORS]),
];

/** Every family in the order of docs/types.md; text is there once. */
const FAMILIES_OF: Readonly<Record<ColumnKind, readonly TypeFamily[]>> = {
  integer: INTEGERS,
  bigint: BIGINTS,
  decimal: DECIMALS,
  float: FLOATS,
  double: DOUBLES,
  boolean: BOOLEANS,
  bits: BITS,
  text: [UTF8_TEXTS],
  bytes: [BYTES],
  enum: ENUMS,
  set: SETS,
  date: DATES,
  time: TIMES,
  datetime: DATETIMES,
  timestamp: TIMESTAMPS,
  json: [DOCUMENTS],
  geometry: [GEOMETRIES],
  vector: [VECTORS],
};

export const FAMILIES: readonly TypeFamily[] = Object.values(FAMILIES_OF).flat();
