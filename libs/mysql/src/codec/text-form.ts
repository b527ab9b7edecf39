import { type TextDecode } from '../values/charset.ts';

/** How a text column's bytes become the bytes of a JSON string: copied, copied while they are ASCII, or decoded. */
export type TextForm = 'utf8' | 'ascii-keeping' | 'decoded';

const UTF8_CHARSETS = new Set(['utf8mb4', 'utf8mb3', 'utf8']);
const ASCII = Buffer.from(Array.from({ length: 128 }, (_, byte) => byte));

/** No character set of MySQL has a state: when each byte below 0x80 is ASCII by itself, all of them together are. */
function keepsAscii(decode: TextDecode): boolean {
  try {
    return decode(ASCII, 0, ASCII.length) === ASCII.toString('latin1');
  } catch {
    return false;
  }
}

export function textForm(charset: string | null, decode: TextDecode): TextForm {
  if (charset !== null && UTF8_CHARSETS.has(charset)) return 'utf8';
  return keepsAscii(decode) ? 'ascii-keeping' : 'decoded';
}
