import { type RowDataPacket } from 'mysql2';
import { type MySqlSession } from '../mysql-session.ts';
import { tryQuery } from '../optional-query.ts';
import { findAmbiguous, SEPARATOR, SEPARATOR_HEX, withoutAliases } from './character-aliases.ts';
import { NO_CHARACTER, type CharacterTable } from './character-table.ts';
import { type CharacterSetFacts, type CharacterTables } from './charset.ts';
import {
  CODE_SHAPES,
  FOUR_BYTE_CODES,
  fourByteHex,
  singleByteCodes,
  threeByteCodes,
  threeByteHex,
  twoByteCodes,
  twoByteHex,
  type CodeShape,
} from './multi-byte-codes.ts';

interface CollationRow extends RowDataPacket {
  readonly id: number;
  readonly charset: string;
}
interface CharsetRow extends RowDataPacket {
  readonly charset: string;
  readonly maxLength: number;
  readonly version: string;
}

/** Multi-byte tables by server version: they are compiled into the server, and alike on all servers of one version. */
const multiByteTables = new Map<string, ReadonlyMap<string, CharacterTables>>();

/** Asks the server for its collations and for what each code of its character sets means. */
export async function readCharacterSets(session: MySqlSession): Promise<CharacterSetFacts> {
  const collations = await readCollations(session);
  const charsets = await session.query<CharsetRow>(
    'SELECT CHARACTER_SET_NAME AS charset, MAXLEN AS maxLength, VERSION() AS version FROM information_schema.CHARACTER_SETS',
  );
  const singleByte = charsets.flatMap(({ charset, maxLength }) =>
    maxLength === 1 && charset !== 'binary' ? [charset] : [],
  );
  const version = charsets[0]?.version ?? '';
  const multiByte = multiByteTables.get(version) ?? (await readMultiByteTables(session, charsets));
  multiByteTables.set(version, multiByte);
  return {
    charsetOfCollation: new Map(collations.map(({ id, charset }) => [id, charset])),
    maxLength: new Map(charsets.map(({ charset, maxLength }) => [charset, maxLength])),
    tables: new Map([...(await readSingleByteTables(session, singleByte)), ...multiByte]),
  };
}

/** MariaDB 10.10 and later have collations of several character sets, whose ids are in another table. */
async function readCollations(session: MySqlSession): Promise<readonly CollationRow[]> {
  const collations = await session.query<CollationRow>(
    'SELECT ID AS id, CHARACTER_SET_NAME AS charset FROM information_schema.COLLATIONS WHERE ID IS NOT NULL',
  );
  if (session.kind !== 'mariadb') return collations;
  const shared = await tryQuery(session, [
    'SELECT ID AS id, CHARACTER_SET_NAME AS charset FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY',
  ]);
  return [...collations, ...((shared ?? []) as CollationRow[])];
}

const ALL_BYTES = Array.from({ length: 256 }, (_, byte) => byte);

async function readSingleByteTables(
  session: MySqlSession,
  charsets: readonly string[],
): Promise<Map<string, CharacterTables>> {
  const bytes = Buffer.from(ALL_BYTES).toString('hex');
  const columns = charsets.map((charset) => `CONVERT(${bytesAs(session, charset, bytes)} USING utf8mb4)`);
  const row = await session.queryTexts(`SELECT ${columns.join(', ')}`);
  const tables = new Map<string, CharacterTables>();
  for (const [i, charset] of charsets.entries()) {
    const table = { one: singleByteUnits(ALL_BYTES, String(row[i])), two: null, three: null, four: null };
    tables.set(charset, await makeTables(session, charset, table));
  }
  return tables;
}

/**
 * The server turns a byte that means nothing into '?', distinguished from the real one by its own byte, or into U+FFFD.
 */
function singleByteUnits(codes: readonly number[], text: string): Uint16Array {
  const units = new Uint16Array(256).fill(NO_CHARACTER);
  const characters = Array.from(text);
  for (const [i, code] of codes.entries()) {
    const character = characters[i] ?? '\ufffd';
    const isReplaced = character === '\ufffd' || (character === '?' && code !== 0x3f);
    if (!isReplaced) units[code] = character.charCodeAt(0);
  }
  return units;
}

async function readMultiByteTables(
  session: MySqlSession,
  charsets: readonly CharsetRow[],
): Promise<Map<string, CharacterTables>> {
  const tables = new Map<string, CharacterTables>();
  for (const { charset } of charsets) {
    const shape = CODE_SHAPES[charset];
    if (shape === undefined) continue;
    tables.set(charset, await makeTables(session, charset, await readMultiByteTable(session, charset, shape)));
  }
  return tables;
}

async function readMultiByteTable(session: MySqlSession, charset: string, shape: CodeShape): Promise<CharacterTable> {
  const singles = singleByteCodes(shape);
  const text = await convert(session, charset, Buffer.from(singles).toString('hex'));
  const ask = async (codes: readonly number[], size: number, hexOf: (code: number) => string): Promise<Uint16Array> =>
    multiByteUnits(codes, size, await askEach(session, charset, codes, hexOf));
  const three = threeByteCodes(shape);
  return {
    one: singleByteUnits(singles, text),
    two: await ask(twoByteCodes(shape), 0x10000, twoByteHex),
    three: three.length === 0 ? null : await ask(three, 0x10000, threeByteHex),
    four: shape.hasFourBytes ? await ask([...Array(FOUR_BYTE_CODES).keys()], FOUR_BYTE_CODES, fourByteHex) : null,
  };
}

/** MariaDB refuses a literal that is not well-formed; converted bytes have '?' for what means nothing. */
function bytesAs(session: MySqlSession, charset: string, hex: string): string {
  return session.kind === 'mariadb' ? `CONVERT(X'${hex}' USING ${charset})` : `_${charset} X'${hex}'`;
}

async function convert(session: MySqlSession, charset: string, hex: string): Promise<string> {
  const row = await session.queryTexts(`SELECT CONVERT(${bytesAs(session, charset, hex)} USING utf8mb4)`);
  return String(row[0]);
}

/** The characters of well-formed codes. Codes in a row would hide which of them became '?'; no code ends in the separator. */
async function askEach(
  session: MySqlSession,
  charset: string,
  codes: readonly number[],
  hexOf: (code: number) => string,
): Promise<string[]> {
  const hex = codes.map(hexOf).join(SEPARATOR_HEX);
  return (await convert(session, charset, hex)).split(SEPARATOR);
}

/** No code of several bytes means a real '?'. */
function multiByteUnits(codes: readonly number[], size: number, characters: readonly string[]): Uint16Array {
  const units = new Uint16Array(size).fill(NO_CHARACTER);
  for (const [i, code] of codes.entries()) {
    const character = characters[i] ?? '';
    if (character.length === 1 && character !== '?') units[code] = character.charCodeAt(0);
  }
  return units;
}

async function makeTables(session: MySqlSession, charset: string, table: CharacterTable): Promise<CharacterTables> {
  const ambiguous = findAmbiguous(table);
  if (ambiguous.length === 0) return { table, keyTable: table };
  const text = Buffer.from(ambiguous.join(SEPARATOR)).toString('hex');
  const row = await session.queryTexts(`SELECT HEX(CONVERT(_utf8mb4 X'${text}' USING ${charset}))`);
  return { table, keyTable: withoutAliases(table, ambiguous, Buffer.from(String(row[0]), 'hex')) };
}
