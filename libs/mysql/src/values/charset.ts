import { isUtf8 } from 'node:buffer';

/** Decodes a column's stored bytes; throws `UndecodableTextError` rather than inventing a character. */
export type TextDecode = (bytes: Buffer, start: number, end: number) => string;

export class UndecodableTextError extends Error {}

/** What a server says about its character sets; the stream decodes by exactly these tables. */
export interface CharacterSetFacts {
  /** Character set of a collation id. */
  readonly charsetOfCollation: ReadonlyMap<number, string>;
  /** Most bytes a character takes. */
  readonly maxLength: ReadonlyMap<string, number>;
  /** For single-byte character sets: the 256 characters in byte order; U+FFFD where there is none. */
  readonly singleByte: ReadonlyMap<string, readonly string[]>;
}

function decodeUtf8(bytes: Buffer, start: number, end: number): string {
  const text = bytes.toString('utf8', start, end);
  if (text.includes('\ufffd') && !isUtf8(bytes.subarray(start, end))) {
    throw new UndecodableTextError('bytes that are not UTF-8');
  }
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

function singleByteDecoder(characters: readonly string[]): TextDecode {
  // when bytes below 0x80 stand for themselves, pure ASCII needs no table
  const keepsAscii = characters.slice(0, 128).every((character, byte) => character.charCodeAt(0) === byte);
  return (bytes, start, end) => {
    let ascii = keepsAscii;
    for (let at = start; ascii && at < end; at++) ascii = (bytes[at] ?? 0) < 0x80;
    if (ascii) return bytes.toString('latin1', start, end);
    let text = '';
    for (let at = start; at < end; at++) {
      const character = characters[bytes[at] ?? 0] ?? '\ufffd';
      if (character === '\ufffd') throw new UndecodableTextError(`byte 0x${bytes.toString('hex', at, at + 1)}`);
      text += character;
    }
    return text;
  };
}

/** Null when the character set can't be decoded exactly as the server would. */
export function textDecoder(charset: string, facts: CharacterSetFacts): TextDecode | null {
  switch (charset) {
    case 'utf8mb4':
    case 'utf8mb3':
    case 'utf8':
      return decodeUtf8;
    case 'ucs2':
    case 'utf16':
      return (bytes, start, end) => decodeUtf16(bytes, start, end, false);
    case 'utf16le':
      return (bytes, start, end) => decodeUtf16(bytes, start, end, true);
    case 'utf32':
      return decodeUtf32;
    default: {
      const characters = facts.singleByte.get(charset);
      return characters === undefined ? null : singleByteDecoder(characters);
    }
  }
}
