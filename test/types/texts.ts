import { hexLiteral, textLiteral, type ColumnType, type TypeFamily } from './column-type.ts';
import { type Random } from './random.ts';

/** Characters from `first` to `last`. */
type Script = readonly [first: number, last: number];

const ascii: Script = [0x20, 0x7e];
const latin: Script = [0xa0, 0xff];
const centralEuropean: Script = [0x100, 0x17e];
const greek: Script = [0x391, 0x3c9];
const cyrillic: Script = [0x400, 0x45f];
const armenian: Script = [0x531, 0x586];
const hebrew: Script = [0x5d0, 0x5ea];
const thai: Script = [0xe01, 0xe3a];
const georgian: Script = [0x10d0, 0x10f0];
const kana: Script = [0x3041, 0x30fe];
const narrowKana: Script = [0xff61, 0xff9f];
const ideographs: Script = [0x4e00, 0x9fa5];
const hangul: Script = [0xac00, 0xd7a3];
const emoji: Script = [0x1f300, 0x1f64f];
const rareIdeographs: Script = [0x20000, 0x2a6d6];

const everything = [ascii, latin, greek, cyrillic, hebrew, thai, kana, ideographs, hangul, emoji, rareIdeographs];

/** Every character set that MySQL has for text, with the scripts that it was made for. What it lacks becomes '?' in MySQL. */
const SCRIPTS: Readonly<Record<string, readonly Script[]>> = {
  utf8mb4: everything,
  utf8mb3: everything,
  ucs2: everything,
  utf16: everything,
  utf16le: everything,
  utf32: everything,
  big5: [ascii, ideographs, ideographs],
  gb2312: [ascii, ideographs, ideographs, kana],
  gbk: [ascii, ideographs, ideographs, kana, cyrillic],
  gb18030: everything,
  sjis: [ascii, kana, narrowKana, ideographs, cyrillic],
  cp932: [ascii, kana, narrowKana, ideographs, greek],
  ujis: [ascii, kana, narrowKana, ideographs, latin],
  eucjpms: [ascii, kana, narrowKana, ideographs, latin],
  euckr: [ascii, hangul, hangul, ideographs],
  ascii: [ascii],
  latin1: [ascii, latin],
  latin2: [ascii, centralEuropean],
  latin5: [ascii, latin],
  latin7: [ascii, centralEuropean],
  cp1250: [ascii, centralEuropean],
  cp1251: [ascii, cyrillic],
  cp1256: [ascii, [0x621, 0x64a]],
  cp1257: [ascii, centralEuropean],
  cp850: [ascii, latin],
  cp852: [ascii, centralEuropean],
  cp866: [ascii, cyrillic],
  dec8: [ascii, latin],
  hp8: [ascii, latin],
  swe7: [ascii, latin],
  macce: [ascii, centralEuropean],
  macroman: [ascii, latin],
  keybcs2: [ascii, centralEuropean],
  koi8r: [ascii, cyrillic],
  koi8u: [ascii, cyrillic],
  greek: [ascii, greek],
  hebrew: [ascii, hebrew],
  geostd8: [ascii, georgian],
  armscii8: [ascii, armenian],
  tis620: [ascii, thai],
};

export const CHARACTER_SETS: readonly string[] = Object.keys(SCRIPTS);

function randomText(random: Random, scripts: readonly Script[], most: number): string {
  const length = random.length(most);
  let text = '';
  for (let i = 0; i < length; i++) {
    const [first, last] = random.pick(scripts);
    text += String.fromCodePoint(random.between(first, last));
  }
  return text;
}

/**
 * One of each script in addition to what every text may hold: control characters, quotes, spaces at both ends, a BOM,
 * U+FFFD.
 */
function boundTexts(scripts: readonly Script[], most: number): string[] {
  const first = scripts.map(([from]) => String.fromCodePoint(from)).join('');
  const last = scripts.map(([, to]) => String.fromCodePoint(to)).join('');
  const [wide = ascii] = scripts.slice(-1);
  const longest = String.fromCodePoint(wide[1]).repeat(most);
  const texts = ['', 'a', ' ', '  both  ', 'it\'s "\\', '\0\x01\x07\b\t\n\v\f\r\x1f\x7f', '\u2028\u2029</script>'];
  // tis620 stores U+FFFD as a byte that means nothing
  const replacement = scripts === everything ? ['a\ufffdb', '\ufffd'] : [];
  return [...texts, ...replacement, first, last, longest, '\ufeff', '\u0085\u00a0\u00ad'];
}

/** `most` characters; the declaration with its length, without the character set. */
function text(type: string, charset: string, most: number, collation = ''): ColumnType {
  const scripts = SCRIPTS[charset] ?? [];
  return {
    declaration: `${type} CHARACTER SET ${charset}${collation === '' ? '' : ` COLLATE ${collation}`}`,
    bounds: boundTexts(scripts, most).map(textLiteral),
    random: (random) => textLiteral(randomText(random, scripts, most)),
  };
}

function textFamily(columns: readonly ColumnType[]): TypeFamily {
  return {
    mysql: '`CHAR`, `VARCHAR`, `TINYTEXT` … `LONGTEXT`',
    json: 'string, decoded from the column’s character set',
    bson: 'string',
    debezium: 'same',
    columns,
  };
}

const unicode = ['utf8mb3', 'ucs2', 'utf16', 'utf16le', 'utf32'];
const asian = ['big5', 'gb2312', 'gbk', 'gb18030', 'sjis', 'cp932', 'ujis', 'eucjpms', 'euckr'];
const singleByte = CHARACTER_SETS.filter((charset) => ![...unicode, ...asian, 'utf8mb4'].includes(charset));

export const UTF8_TEXTS = textFamily([
  text('CHAR(10)', 'utf8mb4', 10, 'utf8mb4_0900_ai_ci'),
  text('CHAR(255)', 'utf8mb4', 40, 'utf8mb4_bin'),
  text('VARCHAR(20)', 'utf8mb4', 20, 'utf8mb4_0900_bin'),
  text('VARCHAR(63)', 'utf8mb4', 63, 'utf8mb4_general_ci'),
  text('VARCHAR(64)', 'utf8mb4', 64, 'utf8mb4_unicode_ci'),
  text('VARCHAR(300)', 'utf8mb4', 300, 'utf8mb4_ja_0900_as_cs_ks'),
  text('TINYTEXT', 'utf8mb4', 63),
  text('TEXT', 'utf8mb4', 300),
  text('MEDIUMTEXT', 'utf8mb4', 300),
  text('LONGTEXT', 'utf8mb4', 300),
]);
export const UNICODE_TEXTS = textFamily(
  unicode.flatMap((charset) => [
    text('CHAR(20)', charset, 20),
    text('VARCHAR(60)', charset, 60, `${charset}_bin`),
    text('TEXT', charset, 60),
  ]),
);
export const ASIAN_TEXTS = textFamily(
  asian.flatMap((charset) => [text('CHAR(20)', charset, 20, `${charset}_bin`), text('VARCHAR(130)', charset, 130)]),
);
export const SINGLE_BYTE_TEXTS = textFamily(
  singleByte.map((charset, i) => text(['VARCHAR(40)', 'CHAR(30)', 'TEXT', 'VARCHAR(300)'][i % 4] ?? '', charset, 30)),
);

function randomBytes(random: Random, most: number): string {
  const bytes = random.bytes(random.length(most));
  if (random.bits() % 3 === 0) bytes.fill(0, bytes.length >> 1);
  return hexLiteral(bytes);
}

function bytes(declaration: string, most: number): ColumnType {
  return {
    declaration,
    bounds: [
      "''",
      "X'00'",
      "X'20'",
      "X'6100'",
      "X'00ff00'",
      "X'c328'",
      `REPEAT(X'ff', ${most})`,
      `REPEAT(X'00', ${most})`,
    ],
    random: (random) => randomBytes(random, most),
  };
}

export const BYTES: TypeFamily = {
  mysql: '`BINARY`, `VARBINARY`, `TINYBLOB` … `LONGBLOB`',
  json: 'base64; `BINARY(n)` has all its n bytes',
  bson: 'Binary',
  debezium: 'same',
  columns: [
    bytes('BINARY(1)', 1),
    bytes('BINARY(16)', 16),
    bytes('BINARY(255)', 255),
    bytes('VARBINARY(16)', 16),
    bytes('VARBINARY(255)', 255),
    bytes('VARBINARY(256)', 256),
    bytes('TINYBLOB', 255),
    bytes('BLOB', 400),
    bytes('MEDIUMBLOB', 400),
    bytes('LONGBLOB', 5000),
    bytes('CHAR(16) CHARACTER SET binary', 16),
    bytes('TEXT CHARACTER SET binary', 100),
  ],
};
