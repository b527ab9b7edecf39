import { NO_CHARACTER, type CharacterTable } from './character-table.ts';
import { fourByteHex, threeByteHex, twoByteHex } from './multi-byte-codes.ts';

/** Between characters and between their codes; it is itself in every character set and never a part of another code. */
export const SEPARATOR = '\x01';
export const SEPARATOR_HEX = '01';
const SEPARATOR_BYTE = 1;

function* codesOf({ one, two, three, four }: CharacterTable): Generator<{ units: Uint16Array; index: number }> {
  for (const units of [one, two, three, four])
    if (units !== null)
      for (let index = 0; index < units.length; index++) if (units[index] !== NO_CHARACTER) yield { units, index };
}

/** Characters that have several codes. */
export function findAmbiguous(table: CharacterTable): string[] {
  const seen = new Set<number>();
  const ambiguous = new Set<number>();
  for (const { units, index } of codesOf(table)) {
    const unit = units[index] ?? NO_CHARACTER;
    if (seen.has(unit)) ambiguous.add(unit);
    seen.add(unit);
  }
  return [...ambiguous].map((unit) => String.fromCharCode(unit));
}

/** `written` holds the codes, separated, that the server itself writes for the ambiguous characters, in their order. */
export function withoutAliases(table: CharacterTable, ambiguous: readonly string[], written: Buffer): CharacterTable {
  const codes = splitCodes(written);
  const codeOf = new Map(ambiguous.map((character, i) => [character.charCodeAt(0), codes[i] ?? '']));
  const copy = (units: Uint16Array | null, hexOf: (code: number) => string): Uint16Array | null =>
    units?.map((unit, code) => {
      const only = codeOf.get(unit);
      return only === undefined || only === hexOf(code) ? unit : NO_CHARACTER;
    }) ?? null;
  return {
    one: copy(table.one, (byte) => byte.toString(16).padStart(2, '0')) ?? table.one,
    two: copy(table.two, twoByteHex),
    three: copy(table.three, threeByteHex),
    four: copy(table.four, fourByteHex),
  };
}

function splitCodes(written: Buffer): string[] {
  const codes: string[] = [];
  for (let start = 0; start <= written.length;) {
    const found = written.indexOf(SEPARATOR_BYTE, start);
    const end = found === -1 ? written.length : found;
    codes.push(written.toString('hex', start, end));
    start = end + 1;
  }
  return codes;
}
