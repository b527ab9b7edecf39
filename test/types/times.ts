import { quoted, type ColumnType, type TypeFamily } from './column-type.ts';
import { type Random } from './random.ts';

const FRACTION_DIGITS = [0, 1, 2, 3, 4, 5, 6] as const;

function two(value: number): string {
  return String(value).padStart(2, '0');
}

function randomFraction(random: Random, digits: number): string {
  return digits === 0 ? '' : `.${random.digits(digits)}`;
}

function randomClock(random: Random): string {
  return `${two(random.between(0, 23))}:${two(random.between(0, 59))}:${two(random.between(0, 59))}`;
}

function randomDate(random: Random, firstYear: number, lastYear: number): string {
  const year = String(random.between(firstYear, lastYear)).padStart(4, '0');
  return `${year}-${two(random.between(1, 12))}-${two(random.between(1, 28))}`;
}

/** Each value with each kind of fraction: none, all nines, the least, a half, the largest one-digit step. */
function withFractions(values: readonly string[], digits: number): string[] {
  if (digits === 0) return quoted(values);
  const fractions = ['0'.repeat(digits), '9'.repeat(digits), '1'.padStart(digits, '0'), '5'.padEnd(digits, '0')];
  return quoted(values.flatMap((value) => fractions.map((fraction) => `${value}.${fraction}`)));
}

function declare(type: string, digits: number): string {
  return digits === 0 ? type : `${type}(${digits})`;
}

const clocks = ['-838:59:58', '-100:00:00', '-01:00:00', '-00:00:01', '-00:00:00', '00:00:00', '23:59:59', '838:59:58'];

function time(digits: number): ColumnType {
  return {
    declaration: declare('TIME', digits),
    bounds: [...withFractions(clocks, digits), "'838:59:59'", "'-838:59:59'", "'900:00:00'"],
    random: (random) => {
      const hours = random.between(0, 837);
      const clock = `${two(hours)}:${two(random.between(0, 59))}:${two(random.between(0, 59))}`;
      return `'${random.bits() % 2 === 0 ? '-' : ''}${clock}${randomFraction(random, digits)}'`;
    },
  };
}

/** With ALLOW_INVALID_DATES every day up to 31 is one. */
const dates = ['0000-00-00', '0000-01-01', '0001-01-01', '1000-01-01', '2020-00-00', '2026-00-01', '2026-02-00'].concat(
  ['2023-02-31', '2024-02-29', '1969-12-31', '9999-12-31'],
);

function datetime(digits: number): ColumnType {
  const moments = dates.flatMap((day) => [`${day} 00:00:00`, `${day} 23:59:59`]);
  return {
    declaration: declare('DATETIME', digits),
    bounds: withFractions(moments, digits).filter((value) => !value.includes('9999-12-31 23:59:59.9')),
    random: (random) => `'${randomDate(random, 0, 9999)} ${randomClock(random)}${randomFraction(random, digits)}'`,
  };
}

const timestamps = ['1970-01-01 00:00:01', '1970-01-02 00:00:00', '2000-02-29 12:34:56', '2038-01-19 03:14:06'];

function timestamp(digits: number): ColumnType {
  return {
    declaration: declare('TIMESTAMP', digits),
    bounds: [
      ...quoted(['0000-00-00 00:00:00', '2038-01-19 03:14:07', '1970-01-01 00:00:00', '2026-02-30 00:00:00']),
      ...withFractions(timestamps, digits),
    ],
    random: (random) => `'${randomDate(random, 1971, 2037)} ${randomClock(random)}${randomFraction(random, digits)}'`,
  };
}

const AS_THEY_ARE = 'string';

export const DATES: readonly TypeFamily[] = [
  {
    mysql: '`DATE`',
    json: '`"2026-02-03"`',
    bson: AS_THEY_ARE,
    debezium: 'days since 1970',
    columns: [{ declaration: 'DATE', bounds: quoted(dates), random: (random) => `'${randomDate(random, 0, 9999)}'` }],
  },
];

export const TIMES: readonly TypeFamily[] = [
  {
    mysql: '`TIME`',
    json: '`"04:05:06.000007"`, also `"-838:59:59"`',
    bson: AS_THEY_ARE,
    debezium: 'microseconds',
    columns: FRACTION_DIGITS.map(time),
  },
];

export const DATETIMES: readonly TypeFamily[] = [
  {
    mysql: '`DATETIME`',
    json: '`"2026-02-03T04:05:06.000007"`, no zone',
    bson: AS_THEY_ARE,
    debezium: 'milliseconds since 1970 up to 3 fraction digits, else microseconds, as if it were UTC',
    columns: FRACTION_DIGITS.map(datetime),
  },
];

export const TIMESTAMPS: readonly TypeFamily[] = [
  {
    mysql: '`TIMESTAMP`',
    json: '`"2026-02-03T04:05:06.700Z"`, in UTC',
    bson: AS_THEY_ARE,
    debezium: 'text in UTC, but without the fraction’s last zeros',
    columns: FRACTION_DIGITS.map(timestamp),
  },
];
