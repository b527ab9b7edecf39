import { isUtf8 } from 'node:buffer';
import { tableDecoder, UndecodableTextError, type CharacterTable, type TextDecode } from './character-table.ts';

export { UndecodableTextError, type TextDecode };

/** What a server says about its character sets; the stream decodes by exactly these tables. */
export interface CharacterSetFacts {
  /** Character set of a collation id. */
  readonly charsetOfCollation: ReadonlyMap<number, string>;
  /** Most bytes a character takes. */
  readonly maxLength: ReadonlyMap<string, number>;
  /** Of all character sets but Unicode's own. */
  readonly tables: ReadonlyMap<string, CharacterTables>;
}

export interface CharacterTables {
  readonly table: CharacterTable;
  /**
   * Without the codes that the server itself does not write for their character (cp932 has two codes for 396 of them).
   * Keys of two rows that differ in nothing else would be one text.
   */
  readonly keyTable: CharacterTable;
}

export function assertUtf8(bytes: Buffer, start: number, end: number): void {
  if (!isUtf8(bytes.subarray(start, end))) throw new UndecodableTextError('bytes that are not UTF-8');
}

function decodeUtf8(bytes: Buffer, start: number, end: number): string {
  const text = bytes.toString('utf8', start, end);
  if (text.includes('\ufffd')) assertUtf8(bytes, start, end);
  return text;
}

function decodeUtf16(bytes: Buffer, start: number, end: number, littleEndian: boolean): string {
  if ((end - start) % 2 !== 0) throw new UndecodableTextError('half a UTF-16 unit');
  const copy = Buffer.from(bytes.subarray(start, end));
  if (!littleEndian) copy.swap16();
  const text = copy.toString('utf16le');
  if (!text.isWellFormed()) throw new UndecodableTextError('a lone surrogate');
  return text;
}

/** Two surrogates are two characters here, neither of which exists. */
function decodeUcs2(bytes: Buffer, start: number, end: number): string {
  const text = decodeUtf16(bytes, start, end, false);
  if (/[\ud800-\udfff]/.test(text)) throw new UndecodableTextError('a surrogate');
  return text;
}

function decodeUtf32(bytes: Buffer, start: number, end: number): string {
  if ((end - start) % 4 !== 0) throw new UndecodableTextError('part of a UTF-32 unit');
  let text = '';
  for (let at = start; at < end; at += 4) {
    const code = bytes.readUInt32BE(at);
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) throw new UndecodableTextError('not a code point');
    text += String.fromCodePoint(code);
  }
  return text;
}

/** Null when the character set can't be decoded exactly as the server would. */
export function textDecoder(charset: string, facts: CharacterSetFacts, isKey: boolean): TextDecode | null {
  switch (charset) {
    case 'utf8mb4':
    case 'utf8mb3':
    case 'utf8':
      return decodeUtf8;
    case 'ucs2':
      return decodeUcs2;
    case 'utf16':
      return (bytes, start, end) => decodeUtf16(bytes, start, end, false);
    case 'utf16le':
      return (bytes, start, end) => decodeUtf16(bytes, start, end, true);
    case 'utf32':
      return decodeUtf32;
    default: {
      const tables = facts.tables.get(charset);
      return tables === undefined ? null : tableDecoder(isKey ? tables.keyTable : tables.table);
    }
  }
}
