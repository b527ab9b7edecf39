import { hexLiteral, textLiteral, type ColumnType, type TypeFamily } from './column-type.ts';
import { type Random } from './random.ts';

const jsonStrings = ['', 'a', 'é', '漢字', '😀', '\0', '\u001f"\\/\b\f\n\r\t', '\u2028', 'x'.repeat(130), '2026-01-01'];
const jsonNames = [
  '',
  'a',
  'b',
  'B',
  'é',
  '10',
  '9',
  '__proto__',
  'constructor',
  'with.dot',
  '$dollar',
  '$json',
  'a b',
];

function jsonNumber(random: Random): string {
  switch (random.between(0, 4)) {
    case 0:
      return String(random.between(-5, 5));
    case 1:
      return String(random.between(-70_000, 70_000));
    case 2:
      return String(BigInt.asIntN(64, BigInt(`0x${random.bytes(8).toString('hex')}`)));
    case 3:
      return String(BigInt(`0x${random.bytes(8).toString('hex')}`));
    default: {
      const value = random.bytes(8).readDoubleBE(0);
      return Number.isFinite(value) ? String(value) : `${random.between(-999, 999)}.${random.digits(3)}`;
    }
  }
}

function jsonValue(random: Random, depth: number): string {
  const kind = random.between(0, depth <= 0 ? 4 : 8);
  if (kind === 0) return random.pick(['null', 'true', 'false']);
  if (kind <= 2) return JSON.stringify(random.pick(jsonStrings));
  if (kind <= 4) return jsonNumber(random);
  const count = random.between(0, 4);
  if (kind <= 6) return `[${Array.from({ length: count }, () => jsonValue(random, depth - 1)).join(',')}]`;
  return jsonObject(random, count, depth);
}

function jsonObject(random: Random, count: number, depth: number): string {
  const names = new Set(Array.from({ length: count }, () => random.pick(jsonNames)));
  return `{${[...names].map((name) => `${JSON.stringify(name)}:${jsonValue(random, depth - 1)}`).join(',')}}`;
}

const jsonTexts = [
  'null',
  'true',
  '[]',
  '{}',
  '""',
  '0',
  '-0.0',
  '[1,-1,32767,32768,-32769,65535,65536,2147483647,2147483648,-2147483649,4294967296]',
  '[9007199254740993,9223372036854775807,-9223372036854775808,18446744073709551615]',
  '[1.0,1.50,-0.0,1e20,1e22,1e300,0.00001,1e-7,123456.789,5e-324,0.30000000000000004,1.7976931348623157e308]',
  `{${jsonNames.map((name, i) => `${JSON.stringify(name)}:${i}`).join(',')}}`,
  JSON.stringify(jsonStrings),
  '{"$json":"[1]"}',
  '{"a":{"b":{"c":{"d":[[[[[{"e":null}]]]]]}}}}',
];
/** What JSON text alone can't make: decimals, times, bytes, documents in the large form. */
const jsonExpressions = [
  'JSON_ARRAY(1.50, -0.001, 123456789012345678901234567890.5, 10.00, 0.0000001, 1e0)',
  "JSON_OBJECT('d', CAST('2020-02-29' AS DATE), 't', CAST('-12:00:01.5' AS TIME(6)), 'dt', CAST('2026-01-02 03:04:05.000007' AS DATETIME(6)), 'z', CAST('0000-00-00' AS DATE))",
  "JSON_OBJECT('b', CAST(REPEAT('x', 100) AS BINARY), 'bit', b'101', 'y', CAST(2026 AS YEAR))",
  "JSON_OBJECT('long', REPEAT('ab\"', 30000))",
  "JSON_OBJECT('many', CAST(CONCAT('[', REPEAT('100000,', 15000), '1.5]') AS JSON), 'last', TRUE)",
];

const json: ColumnType = {
  declaration: 'JSON',
  bounds: [...jsonTexts.map((text) => `CAST(${textLiteral(text)} AS JSON)`), ...jsonExpressions],
  random: (random) => `CAST(${textLiteral(jsonValue(random, 3))} AS JSON)`,
};
/** Objects only: what JSON_SET and its like change in part. */
const jsonObjects: ColumnType = {
  declaration: 'JSON',
  bounds: ["CAST('{}' AS JSON)", `CAST('{"a":"${'long '.repeat(50)}","b":[1,2,3],"é":{"x":1}}' AS JSON)`],
  random: (random) => `CAST(${textLiteral(jsonObject(random, 6, 2))} AS JSON)`,
};

/** The column of objects, which is changed in part. */
export const PARTLY_CHANGED = jsonObjects;

export const DOCUMENTS: TypeFamily = {
  mysql: '`JSON`',
  json: 'string that holds the JSON text in one form: MySQL’s own member order, each number by its exact decimal value',
  bson: 'embedded value: Int32 or Long, Double where its shortest text is the number, else Decimal128; what BSON can’t hold, and the document `null`, is `{"$json": "<text>"}`',
  debezium: 'string that holds the JSON text; numbers as doubles',
  columns: [json, jsonObjects],
};

function coordinates(random: Random): string {
  const fraction = (digits: number): string => `.${random.digits(digits)}`;
  return `${random.between(-179, 179)}${fraction(15)} ${random.between(-89, 89)}${fraction(15)}`;
}

function list(random: Random, count: number): string {
  return Array.from({ length: count }, () => coordinates(random)).join(',');
}

/** Text after the shape's name. */
type Shape = (random: Random) => string;

const ring: Shape = (random) => {
  const x = random.between(-100, 100);
  const y = random.between(-50, 50);
  return `((${x} ${y},${x + 5} ${y},${x + 5} ${y + 5},${x}.5 ${y + 5},${x} ${y}))`;
};
const shapes: Readonly<Record<string, Shape>> = {
  POINT: (random) => `(${coordinates(random)})`,
  LINESTRING: (random) => `(${list(random, random.between(2, 6))})`,
  POLYGON: ring,
  MULTIPOINT: (random) => `(${list(random, random.between(1, 5))})`,
  MULTILINESTRING: (random) => `((${list(random, 2)}),(${list(random, 3)}))`,
  MULTIPOLYGON: (random) => `(${ring(random)})`,
  GEOMETRYCOLLECTION: (random) => `(POINT(${coordinates(random)}),LINESTRING(${list(random, 2)}))`,
};

function geometryLiteral(shape: string, text: string, srid: number): string {
  return `ST_GeomFromText('${shape}${text}', ${srid}${srid === 0 ? '' : ", 'axis-order=long-lat'"})`;
}

function geometry(declaration: string, names: readonly string[], srids: readonly number[]): ColumnType {
  const make = (random: Random): string => {
    const name = random.pick(names);
    return geometryLiteral(name, shapes[name]?.(random) ?? '', random.pick(srids));
  };
  const points = ['(0 0)', '(-180 90)', '(180 -90)', '(1e-300 -0.0)'];
  const usual = names.includes('POINT') ? points.map((text) => geometryLiteral('POINT', text, srids[0] ?? 0)) : [];
  const empty = names.includes('GEOMETRYCOLLECTION') ? [geometryLiteral('GEOMETRYCOLLECTION', ' EMPTY', 0)] : [];
  return { declaration, bounds: [...usual.filter((text) => !text.includes('-180')), ...empty], random: make };
}

const names = Object.keys(shapes);

export const GEOMETRIES: TypeFamily = {
  mysql: '`GEOMETRY` and its subtypes',
  json: '`{"wkb":"<base64>","srid":4326}`, `srid` null for 0',
  bson: 'Binary: SRID (4 bytes, little-endian), then WKB, as MySQL stores it',
  debezium: 'same, but a `POINT` also has `x` and `y`',
  columns: [
    geometry('GEOMETRY', names, [0, 4326, 3857]),
    geometry('POINT SRID 4326', ['POINT'], [4326]),
    ...names.map((name) => geometry(name, [name], [0])),
  ],
};

/** Its four bytes a number, little-endian; STRING_TO_VECTOR takes no subnormal numbers. */
function vectorLiteral(numbers: readonly number[]): string {
  const bytes = Buffer.alloc(4 * numbers.length);
  for (const [i, number] of numbers.entries()) bytes.writeFloatLE(number, 4 * i);
  return hexLiteral(bytes);
}

function vector(dimensions: number): ColumnType {
  const float = (random: Random): number => {
    const value = random.bytes(4).readFloatBE(0);
    return Number.isFinite(value) ? value : 0.1;
  };
  const bounds = [
    [0],
    [-0, 0.1, 3.4028234e38],
    [1e-45, 16777217, -2.5e-10],
    [1.17549435e-38, -3.4028234e38, 0.33333334],
  ];
  return {
    declaration: `VECTOR(${dimensions})`,
    bounds: bounds.map(vectorLiteral),
    random: (random) => vectorLiteral(Array.from({ length: random.between(1, dimensions) }, () => float(random))),
  };
}

export const VECTORS: TypeFamily = {
  mysql: '`VECTOR`',
  json: 'array of numbers, each the shortest text of its 32-bit value',
  bson: 'array of Double, each the 32-bit value itself',
  debezium: 'array of numbers',
  columns: [vector(3), vector(16), vector(100)],
};
