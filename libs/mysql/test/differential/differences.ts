import { type CanonicalValue, type Column } from '#change-events';

/** A place where zongji's value is not MySQL's. */
export interface Difference {
  readonly what: string;
  /** A column type, and a value for it in SQL, that show the difference. */
  readonly type: string;
  readonly value: string;
  /** What zongji says of it; 'error' with its message when it loses the row. */
  readonly zongji: unknown;
  readonly zongjiError?: RegExp;
  /** What MySQL itself says of the column `v`, as text. */
  readonly select: string;
  readonly mysql: string;
  /** MySQL's words for Ditto's value. */
  readonly inWords: (value: CanonicalValue) => string;
  /** Whether zongji errs about this value, seen by Ditto's; missing where random values never meet the difference. */
  readonly concerns?: (column: Column, value: CanonicalValue) => boolean;
}

const asText = (value: CanonicalValue): string => String(value);

/** MySQL's number of MacRoman, Greek and East Asian character sets: not what iconv-lite's tables say. */
const otherTable = (charset: string, bytes: string, zongji: string, mysql: string): Difference => ({
  what: `text in ${charset}, 0x${bytes}`,
  type: `VARCHAR(9) CHARACTER SET ${charset}`,
  value: `CONVERT(_${charset} X'${bytes}' USING ${charset})`,
  zongji,
  select: 'v',
  mysql,
  inWords: asText,
});

const UNDEFINED_IN_CP1252 = /[\u0081\u008d\u008f\u0090\u009d]/;

export const DIFFERENCES: readonly Difference[] = [
  {
    what: 'negative TIME on a full minute',
    type: 'TIME',
    value: "'-01:00:00'",
    zongji: '-00:63:64',
    select: 'CAST(v AS CHAR)',
    mysql: '-01:00:00',
    inWords: asText,
    concerns: ({ kind }, value) => kind === 'time' && /^-.*:00(?:\.0+)?$/.test(asText(value)),
  },
  {
    what: 'YEAR 0',
    type: 'YEAR',
    value: '0',
    zongji: 1900,
    select: 'CAST(v AS CHAR)',
    mysql: '0000',
    inWords: (value) => asText(value).padStart(4, '0'),
    concerns: ({ type }, value) => type === 'year' && value === 0,
  },
  {
    what: 'FLOAT, widened to a double',
    type: 'FLOAT',
    value: '0.1',
    zongji: 0.10000000149011612,
    select: 'CAST(v AS CHAR)',
    mysql: '0.1',
    inWords: asText,
    concerns: ({ kind }, value) => kind === 'float' && value !== Math.fround(Number(value)),
  },
  {
    what: 'ENUM with an invalid value',
    type: "ENUM('a', 'b')",
    value: "'none'",
    zongji: undefined,
    select: 'CAST(v AS CHAR)',
    mysql: '',
    inWords: asText,
    concerns: ({ kind }, value) => kind === 'enum' && value === '',
  },
  {
    what: 'SET with an empty label',
    type: "SET('', 'a')",
    value: '3',
    zongji: ',a',
    select: 'CAST(v AS CHAR)',
    mysql: 'a',
    inWords: asText,
  },
  {
    what: 'latin1 bytes that Windows-1252 leaves undefined',
    type: 'VARCHAR(9) CHARACTER SET latin1',
    value: "_latin1 X'81'",
    zongji: '\ufffd',
    select: 'HEX(CONVERT(v USING utf8mb4))',
    mysql: 'C281',
    inWords: (value) => Buffer.from(asText(value)).toString('hex').toUpperCase(),
    concerns: ({ charset }, value) => charset === 'latin1' && UNDEFINED_IN_CP1252.test(asText(value)),
  },
  {
    what: 'text of a character set without a decoder comes as bytes',
    type: 'VARCHAR(9) CHARACTER SET hp8',
    value: "'é'",
    zongji: Buffer.from([0xc5]),
    select: 'v',
    mysql: 'é',
    inWords: asText,
  },
  otherTable('macroman', 'f0', '\ufffd', '\uf8ff'),
  otherTable('greek', 'a1', '‘', 'ʽ'),
  otherTable('sjis', '8160', '～', '〜'),
  otherTable('ujis', 'a1c1', '～', '〜'),
  otherTable('big5', 'a145', '‧', '•'),
  {
    what: 'the SRID of a geometry is lost',
    type: 'POINT',
    value: "ST_GeomFromText('POINT(1 2)', 4326)",
    zongji: { x: 2, y: 1 },
    select: 'ST_SRID(v)',
    mysql: '4326',
    inWords: (value) => String((value as Buffer).readUInt32LE(0)),
  },
  {
    what: 'VECTOR',
    type: 'VECTOR(2)',
    value: "STRING_TO_VECTOR('[1, 2.5]')",
    zongji: 'error',
    zongjiError: /Unsupported type "242"/,
    select: 'HEX(v)',
    mysql: '0000803F00002040',
    inWords: (value) => (value as Buffer).toString('hex').toUpperCase(),
  },
  {
    what: 'a decimal inside JSON becomes a string',
    type: 'JSON',
    value: 'JSON_ARRAY(1.5)',
    zongji: '["1.5"]',
    select: 'v',
    mysql: '[1.5]',
    inWords: asText,
  },
  {
    what: 'long bytes inside JSON lack their line breaks',
    type: 'JSON',
    value: "JSON_ARRAY(CAST(REPEAT('x', 60) AS BINARY))",
    zongji: `["base64:type15:${'eHh4'.repeat(20)}"]`,
    select: 'v',
    mysql: `["base64:type15:${'eHh4'.repeat(19)}\\neHh4"]`,
    inWords: asText,
  },
  {
    what: 'BIT columns inside JSON',
    type: 'JSON',
    value: 'JSON_ARRAY((SELECT b FROM sources))',
    zongji: 'error',
    zongjiError: /JSON Opaque Type Not Implemented: 16/,
    select: 'v',
    mysql: '["base64:type16:BQ=="]',
    inWords: asText,
  },
  {
    what: 'BLOB columns inside JSON',
    type: 'JSON',
    value: 'JSON_ARRAY((SELECT l FROM sources))',
    zongji: 'error',
    zongjiError: /JSON Opaque Type Not Implemented: 252/,
    select: 'v',
    mysql: '["base64:type252:AP8="]',
    inWords: asText,
  },
  {
    what: 'JSON keys that look like numbers change their place',
    type: 'JSON',
    value: "JSON_OBJECT('a', 1, '10', 2)",
    zongji: '{"10": 2, "a": 1}',
    select: 'v',
    mysql: '{"a": 1, "10": 2}',
    inWords: asText,
    concerns: ({ kind }, value) => kind === 'json' && hasMovingKeys(asText(value)),
  },
  {
    what: 'the JSON key __proto__ is lost',
    type: 'JSON',
    value: "JSON_OBJECT('__proto__', 1, 'b', 2)",
    zongji: '{"b": 2}',
    select: 'v',
    mysql: '{"b": 2, "__proto__": 1}',
    inWords: asText,
  },
];

/** Whether the keys come in another order once they have been keys of a JavaScript object. */
function hasMovingKeys(text: string): boolean {
  const written = [...text.matchAll(/"((?:[^"\\]|\\.)*)"(: )?/g)].flatMap(([, name, colon]) =>
    colon === undefined ? [] : [JSON.parse(`"${name ?? ''}"`) as string],
  );
  return written.join('\0') !== keysOf(JSON.parse(text)).join('\0');
}

function keysOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(keysOf);
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) => [key, ...keysOf(member)]);
}
