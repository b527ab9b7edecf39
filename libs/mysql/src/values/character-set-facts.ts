import { type RowDataPacket } from 'mysql2';
import { type MySqlSession } from '../mysql-session.ts';
import { type CharacterSetFacts } from './charset.ts';

interface CollationRow extends RowDataPacket {
  readonly id: number;
  readonly charset: string;
}
interface CharsetRow extends RowDataPacket {
  readonly charset: string;
  readonly maxLength: number;
}

/** Asks the server for its collations and for what each byte of its single-byte character sets means. */
export async function readCharacterSets(session: MySqlSession): Promise<CharacterSetFacts> {
  const collations = await session.query<CollationRow>(
    'SELECT ID AS id, CHARACTER_SET_NAME AS charset FROM information_schema.COLLATIONS',
  );
  const charsets = await session.query<CharsetRow>(
    'SELECT CHARACTER_SET_NAME AS charset, MAXLEN AS maxLength FROM information_schema.CHARACTER_SETS',
  );
  const singleByte = charsets.flatMap(({ charset, maxLength }) =>
    maxLength === 1 && charset !== 'binary' ? [charset] : [],
  );
  const tables = await readSingleByteTables(session, singleByte);
  return {
    charsetOfCollation: new Map(collations.map(({ id, charset }) => [id, charset])),
    maxLength: new Map(charsets.map(({ charset, maxLength }) => [charset, maxLength])),
    singleByte: tables,
  };
}

const ALL_BYTES = Array.from({ length: 256 }, (_, byte) => byte);

/** The server turns a byte that means nothing into '?', which is told apart from the real one by its own byte. */
async function readSingleByteTables(
  session: MySqlSession,
  charsets: readonly string[],
): Promise<Map<string, readonly string[]>> {
  const bytes = ALL_BYTES.map((byte) => byte.toString(16).padStart(2, '0')).join('');
  const columns = charsets.map((charset) => `CONVERT(_${charset} X'${bytes}' USING utf8mb4)`);
  const [row = []] = await session.queryArrays(`SELECT ${columns.join(', ')}`);
  return new Map(
    charsets.map((charset, i) => {
      const characters = Array.from(String(row[i]));
      return [charset, ALL_BYTES.map((byte) => readCharacter(characters, byte))];
    }),
  );
}

function readCharacter(characters: readonly string[], byte: number): string {
  const character = characters[byte];
  const isReplaced = character === '?' && byte !== 0x3f;
  return character === undefined || isReplaced ? '\ufffd' : character;
}
