import { describe, expect, test } from '@jest/globals';
import { NO_CHARACTER, type CharacterTable } from './character-table.ts';
import { findAmbiguous, withoutAliases } from './character-aliases.ts';
import { textDecoder, UndecodableTextError, type CharacterSetFacts } from './charset.ts';

/** ASCII, 0x81xx for three characters of which two are the same, 0x8fa1a1, and gb18030's codes of four bytes. */
const table: CharacterTable = {
  one: Uint16Array.from({ length: 256 }, (_, byte) => (byte < 0x80 ? byte : NO_CHARACTER)),
  two: new Uint16Array(0x10000).fill(NO_CHARACTER),
  three: new Uint16Array(0x10000).fill(NO_CHARACTER),
  four: Uint16Array.from([0x80, 0x81]),
};
table.two?.set([0x4e00, 0x4e01, 0x4e00], 0x8140);
table.three?.set([0x4e8c], 0xa1a1);
const keyTable = withoutAliases(table, findAmbiguous(table), Buffer.from('8142', 'hex'));
const facts: CharacterSetFacts = {
  charsetOfCollation: new Map(),
  maxLength: new Map(),
  tables: new Map([['some', { table, keyTable }]]),
};

function decode(charset: string, hex: string, isKey = false): string {
  const bytes = Buffer.from(`ff${hex}ff`, 'hex');
  const decoder = textDecoder(charset, facts, isKey);
  if (decoder === null) throw new Error('no decoder');
  return decoder(bytes, 1, bytes.length - 1);
}

describe('a character set with a table', () => {
  test.each([
    ['', ''],
    ['61625c7f00', 'ab\\\x7f\0'],
    ['618140628141', 'a\u4e00b\u4e01'],
    ['8fa1a161', '\u4e8ca'],
    ['8130813081308131', '\u0080\u0081'],
    ['90308130e3329a35', '\u{10000}\u{10ffff}'],
    ['81428140', '\u4e00\u4e00'],
  ])('%s', (hex, text) => {
    expect(decode('some', hex)).toBe(text);
  });

  test.each(['80', '61ff', '81', '8143', '6181', '8fa1', '8fa1a2', '813081', '81308132', 'e3329a36', '9030812f'])(
    '%s means nothing',
    (hex) => {
      expect(() => decode('some', hex)).toThrow(UndecodableTextError);
    },
  );

  test('reads a text that is longer than what it keeps a buffer for', () => {
    expect(decode('some', '8140'.repeat(50_000))).toBe('\u4e00'.repeat(50_000));
  });

  test('has one code for each character in keys: the one that the server writes', () => {
    expect(decode('some', '81428141', true)).toBe('\u4e00\u4e01');
    expect(() => decode('some', '8140', true)).toThrow(UndecodableTextError);
  });

  test('is not guessed', () => {
    expect(textDecoder('other', facts, false)).toBeNull();
  });
});

describe('Unicode', () => {
  test.each([
    ['utf8mb4', 'efbbbf61efbfbdf09f9880', '\ufeffa\ufffd😀'],
    ['utf16', 'fefffffdd83dde00', '\ufeff\ufffd😀'],
    ['utf16le', '3dd800de', '😀'],
    ['ucs2', 'fefffffd', '\ufeff\ufffd'],
    ['utf32', '0000fffd0001f600', '\ufffd😀'],
  ])('%s %s', (charset, hex, text) => {
    expect(decode(charset, hex)).toBe(text);
  });

  test.each([
    ['utf8mb4', 'eda080'],
    ['utf8mb4', '61c3'],
    ['utf16', 'd83d'],
    ['utf16', '0061de00'],
    ['utf16', '00'],
    ['ucs2', 'd83dde00'],
    ['utf32', '0000d800'],
    ['utf32', '00110000'],
  ])('%s %s is no text', (charset, hex) => {
    expect(() => decode(charset, hex)).toThrow(UndecodableTextError);
  });
});
