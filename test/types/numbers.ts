import { type ColumnType, type TypeFamily } from './column-type.ts';
import { type Random } from './random.ts';

function randomInteger(random: Random, bits: number, unsigned: boolean): string {
  const wide = (BigInt(random.bits()) << 32n) | BigInt(random.bits());
  const value = BigInt.asUintN(random.between(1, bits), wide);
  return String(unsigned ? BigInt.asUintN(bits, value) : BigInt.asIntN(bits, random.bits() % 2 === 0 ? value : ~value));
}

function integer(declaration: string, bits: number): ColumnType {
  const unsigned = /UNSIGNED|ZEROFILL/.test(declaration);
  const half = 2n ** BigInt(bits - 1);
  const bounds = unsigned ? [0n, 1n, half - 1n, half, 2n * half - 1n] : [-half, 1n - half, -1n, 0n, 1n, half - 1n];
  const doubles = bits === 64 ? [2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n] : [];
  return {
    declaration,
    bounds: [...bounds, ...doubles, ...(unsigned ? [] : doubles.map((bound) => -bound))].map(String),
    random: (random) => randomInteger(random, bits, unsigned),
  };
}

function decimal(precision: number, scale: number, options = ''): ColumnType {
  const sign = options === '' ? '-' : '';
  const whole = '9'.repeat(precision - scale);
  const point = (fraction: string): string => (scale === 0 ? '' : `.${fraction}`);
  return {
    declaration: `DECIMAL(${precision},${scale})${options}`,
    bounds: [
      '0',
      `${sign}0${point('0'.repeat(scale))}`,
      `${whole || '0'}${point('9'.repeat(scale))}`,
      `${sign}${whole || '0'}${point('9'.repeat(scale))}`,
      `${sign}0${point('1'.padStart(scale, '0'))}`,
      `0${point('1'.padEnd(scale, '0'))}`,
      `${'1'.padEnd(precision - scale, '0').slice(0, precision - scale) || '0'}${point('5'.padEnd(scale, '0'))}`,
    ],
    random: (random) =>
      `${random.bits() % 2 === 0 ? sign : ''}${random.digits(random.between(0, precision - scale)) || '0'}${point(random.digits(scale))}`,
  };
}

/** Decimal text alone would be a DECIMAL. */
function doubleLiteral(value: number): string {
  const text = Object.is(value, -0) ? '-0' : String(value);
  return text.includes('e') ? text : `${text}e0`;
}

function randomFloat(random: Random): string {
  const value = random.bytes(4).readFloatBE(0);
  return Number.isFinite(value) ? doubleLiteral(value) : '0.1e0';
}

function randomDouble(random: Random): string {
  const value = random.bits() % 4 === 0 ? random.between(-1e9, 1e9) / 1000 : random.bytes(8).readDoubleBE(0);
  return Number.isFinite(value) ? doubleLiteral(value) : '0.1e0';
}

const floatBounds = [
  0, -0, 0.1, -2.5e-10, 1234567.9, 16777216, 16777217, 0.33333334, 1e-45, 1.17549435e-38, 3.4028234e38, -3.4028234e38,
].map(doubleLiteral);
const doubleBounds = [
  0,
  -0,
  0.1,
  -1e21,
  1e21,
  123456789012345680,
  0.30000000000000004,
  5e-324,
  2.2250738585072014e-308,
  1.7976931348623157e308,
  -1.7976931348623157e308,
  2 ** 53 + 2,
  1e-7,
  123456.789,
].map(doubleLiteral);

function float(declaration: string): ColumnType {
  return { declaration, bounds: floatBounds, random: randomFloat };
}

function double(declaration: string): ColumnType {
  return { declaration, bounds: doubleBounds, random: randomDouble };
}

function fixedPoint(declaration: string, bounds: readonly string[], whole: number, scale: number): ColumnType {
  return {
    declaration,
    bounds,
    random: (random) =>
      `${random.bits() % 2 === 0 ? '-' : ''}${random.digits(random.between(1, whole))}.${random.digits(scale)}`,
  };
}

function bit(width: number): ColumnType {
  const most = 2n ** BigInt(width) - 1n;
  const literal = (value: bigint): string => `b'${value.toString(2)}'`;
  return {
    declaration: `BIT(${width})`,
    bounds: [0n, 1n, most, most >> 1n, (most >> 1n) + 1n].map(literal),
    random: (random) => literal(BigInt.asUintN(width, BigInt(`0x${random.bytes(8).toString('hex')}`))),
  };
}

const smallIntegers: TypeFamily = {
  mysql: '`TINYINT`, `SMALLINT`, `MEDIUMINT`, `INT`, signed or not',
  json: 'number',
  bson: 'Int32; `INT UNSIGNED` Long',
  debezium: 'same',
  columns: [
    integer('TINYINT', 8),
    integer('TINYINT UNSIGNED', 8),
    integer('SMALLINT', 16),
    integer('SMALLINT UNSIGNED ZEROFILL', 16),
    integer('MEDIUMINT', 24),
    integer('MEDIUMINT UNSIGNED', 24),
    integer('INT', 32),
    integer('INT UNSIGNED', 32),
    integer('INT(5) ZEROFILL', 32),
  ],
};

export const INTEGERS: readonly TypeFamily[] = [
  smallIntegers,
  { mysql: '`BOOL` (= `TINYINT(1)`)', json: 'number', bson: 'Int32', debezium: 'same', columns: [integer('BOOL', 8)] },
  {
    mysql: '`YEAR`',
    json: 'number; year 0 is `0`',
    bson: 'Int32',
    debezium: 'same',
    columns: [
      {
        declaration: 'YEAR',
        bounds: ['0', '1901', '1970', '2000', '2155'],
        random: (random) => String(random.between(1901, 2155)),
      },
    ],
  },
];

export const BIGINTS: readonly TypeFamily[] = [
  {
    mysql: '`BIGINT`',
    json: 'number, all digits; a string with the option `bigint: string`',
    bson: 'Long',
    debezium: 'same',
    columns: [integer('BIGINT', 64)],
  },
  {
    mysql: '`BIGINT UNSIGNED`',
    json: 'number, all digits; a string with the option `bigint: string`',
    bson: 'Long up to 2⁶³−1, Decimal128 above',
    debezium: 'wrong above 2⁶³−1, unless `bigint.unsigned.handling.mode=precise`',
    columns: [integer('BIGINT UNSIGNED', 64), integer('BIGINT ZEROFILL', 64)],
  },
];

export const DECIMALS: readonly TypeFamily[] = [
  {
    mysql: '`DECIMAL`, `NUMERIC`',
    json: 'string with the column’s scale: `"1.50"`',
    bson: 'Decimal128 up to 34 digits of precision, else string',
    debezium: 'base64 of the unscaled bytes; as here with `decimal.handling.mode=string`',
    columns: [
      decimal(1, 0),
      decimal(5, 0, ' UNSIGNED'),
      decimal(9, 2),
      decimal(10, 10),
      decimal(10, 2, ' UNSIGNED ZEROFILL'),
      decimal(18, 9),
      decimal(19, 0),
      decimal(20, 10),
      decimal(28, 1),
      decimal(34, 17),
      decimal(35, 5),
      decimal(65, 0),
      decimal(65, 30),
    ],
  },
];

export const FLOATS: readonly TypeFamily[] = [
  {
    mysql: '`FLOAT`',
    json: 'number, the shortest text that reads back to the same 32-bit value: `0.1`',
    bson: 'Double of that number',
    debezium: 'number, a whole one as `100.0`; older versions wrote the widened value `0.10000000149011612`',
    columns: [
      float('FLOAT'),
      float('FLOAT UNSIGNED'),
      float('FLOAT(24)'),
      fixedPoint('FLOAT(7,4)', ['0', '123.4567', '-0.0001', '999.9999', '-999.9999'], 3, 4),
    ],
  },
];

export const DOUBLES: readonly TypeFamily[] = [
  {
    mysql: '`DOUBLE`, `REAL`',
    json: 'number, shortest text: a whole one is `100`; −0 is `-0`',
    bson: 'Double',
    debezium: 'number, a whole one as `100.0`',
    columns: [
      double('DOUBLE'),
      double('REAL'),
      double('DOUBLE UNSIGNED'),
      double('FLOAT(53)'),
      fixedPoint('DOUBLE(20,2)', ['0', '12345678.91', '-0.01', '123456789012345678.12'], 17, 2),
    ],
  },
];

export const BOOLEANS: readonly TypeFamily[] = [
  { mysql: '`BIT(1)`', json: 'boolean', bson: 'boolean', debezium: 'same', columns: [bit(1)] },
];

export const BITS: readonly TypeFamily[] = [
  {
    mysql: '`BIT(n)`, n > 1',
    json: 'base64 of ⌈n/8⌉ bytes, big-endian',
    bson: 'Binary',
    debezium: 'base64 of the bytes in little-endian order',
    columns: [2, 7, 8, 9, 16, 17, 24, 33, 48, 63, 64].map(bit),
  },
];
