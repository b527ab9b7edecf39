import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { type Column, type ColumnKind, type TableLayout } from '#change-events';
import { readMessageTexts } from './message-text.ts';

function layoutOf(kinds: Readonly<Record<string, ColumnKind>>, key: readonly number[] = [0]): TableLayout {
  const columns = Object.entries(kinds).map(([name, kind]): Column => ({
    name,
    kind,
    type: '',
    unsigned: false,
    precision: 0,
    scale: 0,
    length: 0,
    charset: null,
    labels: [],
  }));
  return { database: 'shop', table: 't', columns, key, fingerprint: '' };
}

function read(
  layout: TableLayout,
  after: string,
  { key = '{"v":1}', bigint = 'number' }: { key?: string; bigint?: 'number' | 'string' } = {},
): ReturnType<typeof readMessageTexts> {
  const value = Buffer.from(`{"before":null,"after":${after},"op":"c"}`);
  return readMessageTexts({ layout, bigint }, { key: Buffer.from(key), value });
}

function textOf(kind: ColumnKind, json: string, bigint: 'number' | 'string' = 'number'): string | null | undefined {
  return read(layoutOf({ v: kind }), `{"v":${json}}`, { bigint })?.row.get('v');
}

describe('the text of a value in a message', () => {
  it.each<readonly [ColumnKind, string, string | null]>([
    ['integer', '-5', '-5'],
    ['bigint', '18446744073709551615', '18446744073709551615'],
    ['decimal', '"1.50"', '1.50'],
    ['float', '0.1', '0.1'],
    ['double', '-0', '-0'],
    ['boolean', 'true', 'true'],
    ['bits', '"Af8="', '01FF'],
    ['bytes', '""', ''],
    ['text', '"é"', 'C3A9'],
    ['enum', '""', ''],
    ['date', '"0000-00-00"', '0000-00-00'],
    ['vector', '[0.1,-2]', 'CDCCCC3D000000C0'],
    ['geometry', '{"wkb":"AQI=","srid":4326}', 'E61000000102'],
    ['geometry', '{"wkb":"AQI=","srid":null}', '000000000102'],
    ['geometry', '{"wkb":"","srid":null}', ''],
    ['json', '"{\\"a\\": 1.50}"', '{"a": 1.50}'],
    ['text', 'null', null],
  ])('%s %s', (kind, json, text) => {
    expect(textOf(kind, json)).toBe(text);
  });

  it('of a BIGINT has the form that the topics have', () => {
    expect(textOf('bigint', '"5"', 'string')).toBe('5');
    expect(textOf('bigint', '5', 'string')).toBe('number 5');
    expect(textOf('bigint', '"5"')).toBe('string "5"');
  });

  it('is a digest where it is long', () => {
    const text = 'é'.repeat(32_769);
    expect(textOf('text', JSON.stringify(text))).toBe(`sha256:${createHash('sha256').update(text).digest('hex')}`);
    expect(textOf('text', JSON.stringify(text.slice(1)))).toBe('C3A9'.repeat(32_768));
  });

  it.each<readonly [ColumnKind, string, string]>([
    ['integer', '"5"', 'string "5"'],
    ['decimal', '1.5', 'number 1.5'],
    ['boolean', '1', 'number 1'],
    ['bytes', '"Af9="', 'string "Af9="'],
    ['bytes', '"Af8"', 'string "Af8"'],
    ['geometry', '{"wkb":"AQI="}', 'object {"wkb":"AQI="}'],
    ['geometry', '{"wkb":"AQI=","srid":4294967296}', 'object {"wkb":"AQI=","srid":{"text":"4294967296"}}'],
    ['vector', '[0.10000000149011612]', 'array [{"text":"0.10000000149011612"}]'],
    ['vector', '[1e39]', 'array [{"text":"1e39"}]'],
    ['date', 'false', 'boolean false'],
  ])('%s %s, which it never is, names its type', (kind, json, text) => {
    expect(textOf(kind, json)).toBe(text);
  });
});

describe('readMessageTexts', () => {
  it('has the key of the message', () => {
    const layout = layoutOf({ a: 'text', b: 'bigint' }, [1, 0]);
    const texts = read(layout, '{"a":"x","b":9007199254740993}', { key: '{"b":9007199254740993,"a":"x"}' });
    expect(texts?.key).toEqual(['9007199254740993', '78']);
    expect(read(layout, '{"a":"x","b":1}', { key: '{"b":1}' })?.key).toEqual([]);
    expect(read(layout, '{"a":"x","b":1}', { key: '{"b":1,"c":1}' })?.key).toEqual(['1', null]);
    expect(read(layout, '{"a":"x","b":1}', { key: 'b' })?.key).toEqual([]);
  });

  it('has also what is no column, and a column of any name', () => {
    const texts = read(layoutOf({ v: 'integer', __proto__x: 'integer' }), '{"v":1,"w":[2],"__proto__":3}');
    expect([...(texts?.row ?? [])]).toEqual([
      ['v', '1'],
      ['w', 'array [{"text":"2"}]'],
      ['__proto__', 'number 3'],
    ]);
  });

  it.each(['null', '5', '[]', '{"v":'])('is null where the row is %s', (after) => {
    expect(read(layoutOf({ v: 'integer' }), after)).toBeNull();
  });

  it('is null for a tombstone, and for bytes that are no UTF-8', () => {
    const table = { layout: layoutOf({ v: 'text' }), bigint: 'number' } as const;
    const key = Buffer.from('{"v":"a"}');
    expect(readMessageTexts(table, { key, value: null })).toBeNull();
    const value = Buffer.concat([Buffer.from('{"after":{"v":"'), Buffer.from([0xc3]), Buffer.from('"}}')]);
    expect(readMessageTexts(table, { key, value })).toBeNull();
  });
});
