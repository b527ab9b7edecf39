import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ContentDigest, isSameContent } from './content-digest.ts';

const MOST = 1024 * 1024;

function digestOf(rows: readonly Uint8Array[], ...statements: readonly string[]): string {
  const digest = new ContentDigest();
  digest.begin();
  for (const part of rows) digest.addRows(Buffer.from(part), 0, part.length);
  for (const text of statements) digest.addStatement(Buffer.from(text), 0, text.length);
  return digest.toString();
}

describe('ContentDigest', () => {
  test('I7: is the same however rows are cut into events, and another for other rows', () => {
    const rows = fc.uint8Array({ minLength: 1, maxLength: 300 });
    fc.assert(
      fc.property(rows, fc.nat(), fc.nat(), (bytes, cut, change) => {
        const at = cut % (bytes.length + 1);
        const whole = digestOf([bytes]);
        expect(digestOf([bytes.subarray(0, at), bytes.subarray(at)])).toBe(whole);
        const other = Uint8Array.from(bytes);
        const changed = change % bytes.length;
        other[changed] = (other[changed] ?? 0) ^ 0x10;
        expect(digestOf([other])).not.toBe(whole);
        expect(digestOf([bytes, Uint8Array.of(0)])).not.toBe(whole);
      }),
    );
  });

  test('I9: looks at the beginning only, and at no statement after it', () => {
    const long = new Uint8Array(MOST);
    const digest = new ContentDigest();
    digest.addRows(Buffer.from(long), 0, MOST);
    expect(digest.isFull).toBe(true);
    const known = digest.toString();
    digest.addRows(Buffer.from('x'), 0, 1);
    digest.addStatement(Buffer.from('COMMIT'), 0, 6);
    expect(digest.toString()).toBe(known);
    digest.begin();
    expect([digest.isFull, digest.toString()]).toEqual([false, digestOf([])]);
  });

  test('I8: a replica may write a statement in another way, and ends a transaction in its own', () => {
    const rows = [Uint8Array.of(1, 2, 3)];
    const [source, replica] = [digestOf(rows, 'COMMIT'), digestOf(rows)];
    expect([isSameContent(source, replica, false), isSameContent(source, replica, true)]).toEqual([true, false]);
    expect(isSameContent(source, digestOf([Uint8Array.of(1, 2, 4)], 'COMMIT'), false)).toBe(false);
  });
});
