import fc from 'fast-check';
import { type Column, type ColumnKind } from '#change-events';
import { type DecodableColumn } from '../src/layout/stream-layout.ts';
import { ColumnType, type PhysicalColumn } from '../src/layout/wire-types.ts';
import { type CharacterTable, NO_CHARACTER } from '../src/values/character-table.ts';
import { type CharacterSetFacts, type CharacterTables, textDecoder, type TextDecode } from '../src/values/charset.ts';
import { BYTES_OF_DIGITS, decimalGroups } from '../src/values/numbers.ts';
import { binaryJson } from './binary-json.ts';

/** A column and the stored bytes of its values, without the length prefix of variable ones. */
export interface RandomColumn {
  readonly decodable: DecodableColumn;
  readonly stored: fc.Arbitrary<Buffer>;
}

function byteTable(characterOf: (byte: number) => number): CharacterTables {
  const table: CharacterTable = {
    one: Uint16Array.from({ length: 256 }, (_, i) => characterOf(i)),
    two: null,
    three: null,
    four: null,
  };
  return { table, keyTable: table };
}

/** Like latin1 with a hole, and like swe7, where bytes below 0x80 are other letters. */
const CHARACTER_SETS: CharacterSetFacts = {
  charsetOfCollation: new Map(),
  maxLength: new Map(),
  tables: new Map([
    ['latin1', byteTable((byte) => (byte === 0x81 ? NO_CHARACTER : byte))],
    ['swe7', byteTable((byte) => (byte >= 0x80 ? NO_CHARACTER : byte === 0x5c ? 0xd6 : byte))],
  ]),
};

interface Description {
  readonly kind: ColumnKind;
  readonly type: number;
  readonly size?: number;
  readonly maxLength?: number;
  readonly precision?: number;
  readonly scale?: number;
  readonly unsigned?: boolean;
  readonly charset?: string;
  readonly labels?: readonly string[];
}

function column(name: string, of: Description, stored: fc.Arbitrary<Buffer>): RandomColumn {
  const { kind, type, size = 0, maxLength = 0, precision = 0, scale = 0 } = of;
  const { unsigned = false, charset = null, labels = [] } = of;
  const physical: PhysicalColumn = { type, size, maxLength, precision, scale };
  const described: Column = { name, kind, type: '', unsigned, precision, scale, length: maxLength, charset, labels };
  const decodeText: TextDecode | null =
    kind === 'text' && charset !== null ? textDecoder(charset, CHARACTER_SETS, false) : null;
  return { decodable: { physical, column: described, decodeText }, stored };
}

function bytes(count: number): fc.Arbitrary<Buffer> {
  return fc.uint8Array({ minLength: count, maxLength: count }).map((array) => Buffer.from(array));
}

function someBytes(maxLength: number): fc.Arbitrary<Buffer> {
  return fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));
}

function bigEndian(value: number, count: number): Buffer {
  const buffer = Buffer.alloc(count);
  if (count > 0) buffer.writeUIntBE(value, 0, count);
  return buffer;
}

const INTEGERS = [
  [ColumnType.tiny, 1],
  [ColumnType.short, 2],
  [ColumnType.int24, 3],
  [ColumnType.long, 4],
] as const;

/** Bounds and small numbers come as often as any others. */
function integerBytes(count: number): fc.Arbitrary<Buffer> {
  const most = 2n ** BigInt(8 * count) - 1n;
  const near = [0n, most, most >> 1n, (most >> 1n) + 1n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n].filter(
    (value) => value <= most,
  );
  const signs = near.flatMap((value) => [value, (most + 1n - value) & most]);
  const shorter = fc
    .integer({ min: 0, max: 8 * count })
    .chain((bits) => fc.bigInt({ min: 0n, max: most >> BigInt(bits) }));
  return fc
    .oneof(
      fc.constantFrom(...signs),
      shorter,
      bytes(count).map((b) => BigInt(`0x${b.toString('hex')}`)),
    )
    .map((value) => {
      const buffer = Buffer.alloc(8);
      buffer.writeBigUInt64LE(value);
      return buffer.subarray(0, count);
    });
}

function decimalBytes(precision: number, scale: number): fc.Arbitrary<Buffer> {
  const { leading, whole, fraction, trailing } = decimalGroups(precision, scale);
  const digits = [leading, ...Array<number>(whole).fill(9), ...Array<number>(fraction).fill(9), trailing].filter(
    (n) => n > 0,
  );
  const groups = digits.map((n) => fc.oneof(fc.constantFrom(0, 10 ** n - 1), fc.integer({ min: 0, max: 10 ** n - 1 })));
  return fc.tuple(fc.boolean(), fc.tuple(...groups)).map(([negative, values]) => {
    const stored = Buffer.concat(values.map((value, i) => bigEndian(value, BYTES_OF_DIGITS[digits[i] ?? 0] ?? 0)));
    if (negative) for (let i = 0; i < stored.length; i++) stored[i] = (stored[i] ?? 0) ^ 0xff;
    stored[0] = (stored[0] ?? 0) ^ 0x80;
    return stored;
  });
}

function fraction(digits: number): fc.Arbitrary<number> {
  const most = 100 ** ((digits + 1) >> 1) - 1;
  return fc.oneof(fc.constantFrom(0, most), fc.integer({ min: 0, max: most }));
}

function fractionSize(digits: number): number {
  return (digits + 1) >> 1;
}

const sixty = fc.integer({ min: 0, max: 59 });

function datetimeBytes(digits: number): fc.Arbitrary<Buffer> {
  const fields = [
    fc.integer({ min: 0, max: 9999 }),
    fc.integer({ min: 0, max: 12 }),
    fc.integer({ min: 0, max: 31 }),
    fc.integer({ min: 0, max: 23 }),
    sixty,
    sixty,
    fraction(digits),
  ] as const;
  return fc.tuple(...fields).map(([year, month, day, hour, minute, second, rest]) => {
    const packed = ((year * 13 + month) * 32 + day) * 2 ** 17 + hour * 4096 + minute * 64 + second;
    return Buffer.concat([bigEndian(packed + 2 ** 39, 5), bigEndian(rest, fractionSize(digits))]);
  });
}

function timeBytes(digits: number): fc.Arbitrary<Buffer> {
  return fc
    .tuple(fc.boolean(), fc.integer({ min: 0, max: 838 }), sixty, sixty, fraction(digits))
    .map(([negative, hour, minute, second, rest]) => {
      const size = fractionSize(digits);
      const packed = (hour * 4096 + minute * 64 + second) * 256 ** size + rest;
      return bigEndian(0x800000 * 256 ** size + (negative ? -packed : packed), 3 + size);
    });
}

function timestampBytes(digits: number): fc.Arbitrary<Buffer> {
  const seconds = fc.oneof(
    fc.constantFrom(0, 1, 86_399, 86_400, 2 ** 31 - 1, 2 ** 32 - 1),
    fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  );
  return fc
    .tuple(seconds, fraction(digits))
    .map(([second, rest]) => Buffer.concat([bigEndian(second, 4), bigEndian(rest, fractionSize(digits))]));
}

function littleEndian(of: fc.Arbitrary<number>, count: number): fc.Arbitrary<Buffer> {
  return of.map((value) => {
    const buffer = Buffer.alloc(count);
    buffer.writeUIntLE(value, 0, count);
    return buffer;
  });
}

const DATE_PARTS = [
  fc.integer({ min: 0, max: 9999 }),
  fc.integer({ min: 0, max: 15 }),
  fc.integer({ min: 0, max: 31 }),
] as const;
const dateBytes = fc
  .tuple(...DATE_PARTS)
  .chain(([year, month, day]) => littleEndian(fc.constant(year * 512 + month * 32 + day), 3));

const plainText = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.string({
    unit: fc.constantFrom('a', '"', '\\', '\n', '\0', '\u001f', '\u007f', 'é', '漢', '😀', '\u2028'),
    maxLength: 30,
  }),
  fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 100, maxLength: 300 }),
);

function textBytes(charset: string): fc.Arbitrary<Buffer> {
  switch (charset) {
    case 'utf8mb4':
      return plainText.map((text) => Buffer.from(text));
    case 'utf16':
      return plainText.map((text) => Buffer.from(text, 'utf16le').swap16());
    case 'latin1':
      return fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array.filter((byte) => byte !== 0x81)));
    default:
      return fc.uint8Array({ maxLength: 40, max: 0x7f }).map((array) => Buffer.from(array));
  }
}

const LABELS = [['', 'a"b', 'c\\d', 'é\n😀'], Array.from({ length: 300 }, (_, i) => `v${i}`)] as const;
const FLOATS = fc.float({ noNaN: true, noDefaultInfinity: true }).map((value) => {
  const buffer = Buffer.alloc(4);
  buffer.writeFloatLE(value);
  return buffer;
});
const DOUBLES = fc
  .oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.constantFrom(0, -0, 1e21, 1e15, -1e15, 2 ** 53, 123_456),
    fc.integer(),
  )
  .map((value) => {
    const buffer = Buffer.alloc(8);
    buffer.writeDoubleLE(value);
    return buffer;
  });
const VECTORS = fc.array(FLOATS, { maxLength: 6 }).map((parts) => Buffer.concat(parts));

type Described = fc.Arbitrary<readonly [Description, fc.Arbitrary<Buffer>]>;

function one(description: Description, stored: fc.Arbitrary<Buffer>): Described {
  return fc.constant([description, stored]);
}

function temporal(kind: ColumnKind, type: number, bytesOf: (digits: number) => fc.Arbitrary<Buffer>): Described {
  return fc.integer({ min: 0, max: 6 }).map((scale) => [{ kind, type, scale }, bytesOf(scale)]);
}

const decimals: Described = fc
  .integer({ min: 1, max: 65 })
  .chain((precision) =>
    fc
      .integer({ min: 0, max: Math.min(30, precision) })
      .map((scale) => [
        { kind: 'decimal', type: ColumnType.newDecimal, precision, scale },
        decimalBytes(precision, scale),
      ]),
  );
const wideBits: Described = fc.integer({ min: 2, max: 64 }).map((width) => {
  const size = (width + 7) >> 3;
  return [{ kind: 'bits', type: ColumnType.bit, size, maxLength: width }, bytes(size)];
});
const texts: Described = fc
  .tuple(fc.constantFrom('utf8mb4', 'utf16', 'latin1', 'swe7'), fc.constantFrom(1, 2))
  .map(([charset, size]) => [
    { kind: 'text', type: ColumnType.varchar, size, maxLength: 300, charset },
    textBytes(charset).map((text) => text.subarray(0, size === 1 ? fit(text, charset) : text.length)),
  ]);

const COLUMNS: Readonly<Record<ColumnKind, readonly Described[]>> = {
  integer: [
    fc
      .tuple(fc.constantFrom(...INTEGERS), fc.boolean())
      .map(([[type, size], unsigned]) => [{ kind: 'integer', type, unsigned }, integerBytes(size)]),
    one({ kind: 'integer', type: ColumnType.year }, bytes(1)),
  ],
  bigint: [fc.boolean().map((unsigned) => [{ kind: 'bigint', type: ColumnType.longlong, unsigned }, integerBytes(8)])],
  decimal: [decimals],
  float: [one({ kind: 'float', type: ColumnType.float }, FLOATS)],
  double: [one({ kind: 'double', type: ColumnType.double }, DOUBLES)],
  text: [texts],
  bytes: [
    fc.constantFrom(1, 2, 3, 4).map((size) => [{ kind: 'bytes', type: ColumnType.blob, size }, someBytes(100)]),
    one({ kind: 'bytes', type: ColumnType.string, size: 1, maxLength: 20 }, someBytes(20)),
  ],
  boolean: [
    one({ kind: 'boolean', type: ColumnType.bit, size: 1, maxLength: 1 }, littleEndian(fc.constantFrom(0, 1), 1)),
  ],
  bits: [wideBits],
  date: [one({ kind: 'date', type: ColumnType.date }, dateBytes)],
  time: [temporal('time', ColumnType.time2, timeBytes)],
  datetime: [temporal('datetime', ColumnType.datetime2, datetimeBytes)],
  timestamp: [temporal('timestamp', ColumnType.timestamp2, timestampBytes)],
  enum: [
    one(
      { kind: 'enum', type: ColumnType.enum, size: 1, labels: LABELS[0] },
      littleEndian(fc.integer({ min: 0, max: 4 }), 1),
    ),
    one(
      { kind: 'enum', type: ColumnType.enum, size: 2, labels: LABELS[1] },
      littleEndian(fc.integer({ min: 0, max: 300 }), 2),
    ),
  ],
  set: [
    one(
      { kind: 'set', type: ColumnType.set, size: 1, labels: LABELS[0] },
      littleEndian(fc.integer({ min: 0, max: 15 }), 1),
    ),
  ],
  json: [
    one(
      { kind: 'json', type: ColumnType.json, size: 4 },
      fc.jsonValue({ maxDepth: 4, depthSize: 'small' }).map(binaryJson),
    ),
  ],
  geometry: [
    one(
      { kind: 'geometry', type: ColumnType.geometry, size: 4 },
      someBytes(40).map((wkb) => Buffer.concat([Buffer.from([wkb.length, 0, 0, 0]), wkb])),
    ),
  ],
  vector: [one({ kind: 'vector', type: ColumnType.vector, size: 4 }, VECTORS)],
};

/** Any column that a stream can hold, its name with everything that JSON escapes. */
export function randomColumn(): fc.Arbitrary<RandomColumn> {
  return fc
    .tuple(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }), fc.oneof(...Object.values(COLUMNS).flat()))
    .map(([name, [description, stored]]) => column(name, description, stored));
}

/** At most 255 bytes, cut between characters. */
function fit(text: Buffer, charset: string): number {
  if (text.length <= 255) return text.length;
  if (charset === 'utf16') return 0;
  let end = 255;
  while (end > 0 && ((text[end] ?? 0) & 0xc0) === 0x80) end--;
  return end;
}

/** A full row image; null where the value is NULL. The bits after the last column are set, as the server sets them. */
export function encodeImage(columns: readonly RandomColumn[], values: readonly (Buffer | null)[]): Buffer {
  const nulls = Buffer.alloc((columns.length + 7) >> 3, 0xff);
  const parts: Buffer[] = [nulls];
  values.forEach((value, i) => {
    if (value === null) return;
    nulls[i >> 3] = (nulls[i >> 3] ?? 0) & ~(1 << (i & 7));
    const { type, size } = columns[i]?.decodable.physical ?? { type: 0, size: 0 };
    const isFixed = type === ColumnType.bit || type === ColumnType.enum || type === ColumnType.set;
    if (size > 0 && !isFixed) {
      const prefix = Buffer.alloc(size);
      prefix.writeUIntLE(value.length, 0, size);
      parts.push(prefix);
    }
    parts.push(value);
  });
  return Buffer.concat(parts);
}
