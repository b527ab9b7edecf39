/** A column type with values at its bounds, as SQL. */
export interface TypeCase {
  readonly type: string;
  readonly values: readonly string[];
}

const times = ['-838:59:59', '-01:00:00', '-00:00:01', '00:00:00', '00:00:01', '99:59:59', '100:00:00', '838:59:59'];

function quoted(values: readonly string[]): string[] {
  return values.map((value) => `'${value}'`);
}

function withFractions(values: readonly string[], digits: number): string[] {
  const fractions = [
    '0'.repeat(digits),
    '9'.repeat(digits),
    '1'.padStart(digits, '0'),
    '5'.padEnd(digits, '0'),
    '1'.padEnd(digits, '0'),
  ];
  return quoted(
    values.flatMap((value) => (value.includes('838') ? [value] : fractions.map((fraction) => `${value}.${fraction}`))),
  );
}

const datetimes = [
  '0000-00-00 00:00:00',
  '1000-01-01 00:00:00',
  '2026-02-03 04:05:06',
  '2024-02-29 23:59:59',
  '9999-12-31 23:59:59',
  '2020-00-00 00:00:00',
];
const timestamps = ['0000-00-00 00:00:00', '1970-01-01 00:00:01', '2026-02-03 04:05:06', '2038-01-19 03:14:07'];
const text = ["''", "'a'", "'it''s'", "'tab\\tnew\\nline'", "'é ü ß'", "'€'", "' lead and trail '"];
const unicodeText = [...text, "'漢字 кириллица'", "_utf8mb4 X'EFBFBD'"];
const emoji = ["'😀𝒳'", "'\\0zero'"];

export const TYPE_CASES: readonly TypeCase[] = [
  { type: 'TINYINT', values: ['-128', '-1', '0', '127'] },
  { type: 'TINYINT UNSIGNED', values: ['0', '128', '255'] },
  { type: 'SMALLINT', values: ['-32768', '-1', '32767'] },
  { type: 'SMALLINT UNSIGNED', values: ['0', '65535'] },
  { type: 'MEDIUMINT', values: ['-8388608', '-1', '8388607'] },
  { type: 'MEDIUMINT UNSIGNED', values: ['0', '16777215'] },
  { type: 'INT', values: ['-2147483648', '-1', '0', '2147483647'] },
  { type: 'INT UNSIGNED ZEROFILL', values: ['0', '7', '4294967295'] },
  {
    type: 'BIGINT',
    values: [
      '-9223372036854775808',
      '-9007199254740993',
      '-9007199254740992',
      '-9007199254740991',
      '-1',
      '0',
      '9007199254740991',
      '9007199254740992',
      '9223372036854775807',
    ],
  },
  { type: 'BIGINT UNSIGNED', values: ['0', '9007199254740991', '9007199254740993', '18446744073709551615'] },
  { type: 'DECIMAL(1,0)', values: ['-9', '0', '9'] },
  { type: 'DECIMAL(9,2)', values: ['-1234567.89', '-0.01', '0', '0.10', '1.5', '9999999.99'] },
  { type: 'DECIMAL(18,4)', values: ['-99999999999999.9999', '0.0001', '100000000.5'] },
  {
    type: 'DECIMAL(65,30)',
    values: [`-${'9'.repeat(35)}.${'9'.repeat(30)}`, '0.000000000000000000000000000001', '1000000000'],
  },
  { type: 'DECIMAL(10,10)', values: ['-0.9999999999', '0.0000000001'] },
  { type: 'DECIMAL(10,2) UNSIGNED ZEROFILL', values: ['0', '1.5', '99999999.99'] },
  {
    type: 'FLOAT',
    values: [
      '0',
      '-0e0',
      '0.1',
      '1234567.9',
      '16777216',
      '16777217',
      '3.4028234e38',
      '1.17549435e-38',
      '1e-45',
      '-2.5e-10',
      '0.33333334',
    ],
  },
  { type: 'FLOAT(7,4)', values: ['123.4567', '-0.0001'] },
  {
    type: 'DOUBLE',
    values: [
      '0',
      '0.1e0',
      '1.7976931348623157e308',
      '2.2250738585072014e-308',
      '5e-324',
      '-1e21',
      '123456789012345680e0',
      '0.30000000000000004e0',
    ],
  },
  { type: 'DOUBLE(20,2)', values: ['12345678.91', '-0.01', '123456789012345678.12'] },
  { type: 'BIT(1)', values: ["b'0'", "b'1'"] },
  { type: 'BIT(9)', values: ["b'0'", "b'100000001'"] },
  { type: 'BIT(64)', values: ["b'0'", '0xffffffffffffffff', '0x8000000000000001'] },
  { type: 'YEAR', values: ['0', '1901', '2000', '2155'] },
  { type: 'DATE', values: quoted(['0000-00-00', '1000-01-01', '2020-00-00', '2024-02-29', '9999-12-31']) },
  { type: 'TIME', values: quoted(times) },
  ...[1, 2, 3, 4, 5, 6].map((digits) => ({ type: `TIME(${digits})`, values: withFractions(times, digits) })),
  { type: 'DATETIME', values: quoted(datetimes) },
  ...[1, 2, 3, 4, 5, 6].map((digits) => ({ type: `DATETIME(${digits})`, values: withFractions(datetimes, digits) })),
  { type: 'TIMESTAMP NULL', values: quoted(timestamps) },
  ...[1, 2, 3, 4, 5, 6].map((digits) => ({
    type: `TIMESTAMP(${digits}) NULL`,
    values: withFractions(timestamps.slice(1, 3), digits).concat(quoted(timestamps)),
  })),
  { type: 'CHAR(30)', values: [...unicodeText, ...emoji] },
  { type: 'CHAR(255)', values: unicodeText },
  { type: 'VARCHAR(20)', values: [...unicodeText, ...emoji] },
  { type: 'VARCHAR(300)', values: [...unicodeText, "REPEAT('é', 300)"] },
  ...['TINYTEXT', 'TEXT', 'MEDIUMTEXT', 'LONGTEXT'].map((type) => ({ type, values: [...unicodeText, ...emoji] })),
  { type: 'LONGTEXT', values: ["REPEAT('0123456789abcdef', 5000)"] },
  ...[
    'latin1',
    'latin2',
    'cp1250',
    'cp1251',
    'koi8r',
    'greek',
    'hebrew',
    'cp850',
    'dec8',
    'hp8',
    'swe7',
    'keybcs2',
    'geostd8',
    'macroman',
    'tis620',
  ].map((charset) => ({
    type: `VARCHAR(300) CHARACTER SET ${charset}`,
    values: ["'plain'", `CONVERT(_${charset} X'${allBytes(charset)}' USING ${charset})`],
  })),
  { type: 'CHAR(20) CHARACTER SET latin1', values: ["'a b  '", "'é€'"] },
  ...['ucs2', 'utf16', 'utf16le', 'utf32', 'utf8mb3'].map((charset) => ({
    type: `CHAR(40) CHARACTER SET ${charset}`,
    values: unicodeText,
  })),
  ...['utf16', 'utf16le', 'utf32'].map((charset) => ({ type: `TEXT CHARACTER SET ${charset}`, values: emoji })),
  { type: 'BINARY(5)', values: ["''", "'ab'", "X'0000000000'", "X'ff00ff0000'"] },
  { type: 'VARBINARY(300)', values: ["''", "X'00'", "X'ff00'", "REPEAT(X'ab', 300)"] },
  ...['TINYBLOB', 'BLOB', 'MEDIUMBLOB', 'LONGBLOB'].map((type) => ({
    type,
    values: ["''", "X'0001ff'", "REPEAT(X'cd', 200)"],
  })),
  {
    type: "ENUM('', 'a''b', 'c\\\\d', 'e\\nf', 'é')",
    values: ["''", "'a''b'", "'c\\\\d'", "'e\\nf'", "'é'", '0', '3'],
  },
  {
    type: `ENUM(${Array.from({ length: 300 }, (_, i) => `'v${i}'`).join(',')})`,
    values: ["'v0'", "'v255'", "'v299'", "'unknown'"],
  },
  { type: "ENUM('ж','я') CHARACTER SET cp1251", values: ["'ж'", "'я'"] },
  { type: "SET('', 'a')", values: ["''", "'a'", '3'] },
  { type: "SET('x', 'y''z', 'é')", values: ["''", "'x'", "'x,é'", "'y''z,x'"] },
  {
    type: `SET(${Array.from({ length: 64 }, (_, i) => `'s${i}'`).join(',')})`,
    values: ["'s0'", "'s31,s32'", "'s63'", '18446744073709551615'],
  },
  {
    type: 'JSON',
    values: [
      "'null'",
      "'true'",
      "'[]'",
      "'{}'",
      '\'""\'',
      "'[1, -1, 32767, 32768, -32769, 65536, 2147483648, -9223372036854775808, 18446744073709551615]'",
      "'[1.0, 1.50, -0.0, 1e20, 1e300, 0.00001, 1e-7, 123456.789, 5e-324, -2.2250738585072014e-308, 0.30000000000000004]'",
      'JSON_ARRAY(1.50, -0.001, 123456789012345678901234567890.5, 10.00, 0.0000001)',
      "JSON_OBJECT('d', CAST('2020-02-29' AS DATE), 't', CAST('-12:00:01.5' AS TIME(6)), 'dt', CAST('2026-01-02 03:04:05.000007' AS DATETIME(6)))",
      "JSON_OBJECT('b', CAST(REPEAT('x', 100) AS BINARY), 'bit', b'101')",
      '\'{"__proto__": {"a": 1}, "10": 1, "9": 2, "é": "😀", "\\\\u0001": "\\\\\\\\ \\\\" / \\\\b \\\\f \\\\n \\\\r \\\\t \\\\u001f \\\\u007f \\\\u2028"}\'',
      "JSON_OBJECT('long', REPEAT('ab\"', 30000), 'many', CAST(CONCAT('[', REPEAT('100000,', 20000), '1.5]') AS JSON))",
    ],
  },
  ...['GEOMETRY', 'POINT SRID 4326'].map((type) => ({ type, values: ["ST_GeomFromText('POINT(1 2)', 4326)"] })),
  {
    type: 'GEOMETRY',
    values: [
      "ST_GeomFromText('POINT(1 2)', 0)",
      "ST_GeomFromText('POLYGON((0 0,0 1,1 1,0 0))', 4326)",
      "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1))')",
    ],
  },
  ...['LINESTRING', 'MULTIPOINT'].map((type) => ({ type, values: [`ST_GeomFromText('${type}(1 1, 2 2)')`] })),
  { type: 'GEOMETRYCOLLECTION', values: ["ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1))')"] },
  { type: 'VECTOR(3)', values: ["STRING_TO_VECTOR('[1,-2.5,3e10]')"] },
];

/** Bytes that mean other characters than in ASCII, and for some at all, in each of these character sets. */
function allBytes(charset: string): string {
  if (charset === 'swe7') return '405b5c5d5e607b7c7d7e';
  const isFull = ['latin1', 'koi8r', 'cp850', 'macroman', 'cp1251'].includes(charset);
  const codes = isFull ? range(charset === 'cp1251' ? 0x99 : 0x80, 0xff) : range(0xe1, 0xe5);
  return codes.map((code) => code.toString(16)).join('');
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}
