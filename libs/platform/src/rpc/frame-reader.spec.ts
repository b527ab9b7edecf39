import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FrameReader } from './frame-reader.ts';

const frameOf = (text: string) => `${text.length}#${text}`;

describe('FrameReader', () => {
  it('gives the frames that were sent, however they are cut', () => {
    const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(fc.array(text, { maxLength: 12 }), fc.array(fc.nat(700)), (texts, cuts) => {
        // a lone surrogate does not survive UTF-8
        const sent = texts.map((one) => Buffer.from(one).toString());
        const bytes = Buffer.from(sent.map(frameOf).join(''));
        const reader = new FrameReader(1000);
        const places = [...new Set([0, ...cuts.filter((cut) => cut < bytes.length)])].sort((a, b) => a - b);
        const read = places.flatMap((from, i) => reader.read(bytes.subarray(from, places[i + 1])));
        expect(read).toEqual(sent);
        expect([reader.heldBytes, reader.isWithinFrame]).toEqual([0, false]);
      }),
    );
  });

  it('takes the largest frame, byte by byte too', () => {
    const largest = 'x'.repeat(65_536);
    const reader = new FrameReader(largest.length);
    const bytes = Buffer.from(frameOf(largest));
    const read: string[] = [];
    for (let at = 0; at < bytes.length; at++) read.push(...reader.read(bytes.subarray(at, at + 1)));
    expect(read).toEqual([largest]);
    expect(reader.read(bytes)).toEqual([largest]);
  });

  it.each([
    ['1001#', 'too-large'],
    ['99999999999999999999999999', 'too-large'],
    // within the limit in code units, not in bytes
    [frameOf('€'.repeat(400)), 'too-large'],
    ['0#', 'not-a-frame'],
    ['01#a', 'not-a-frame'],
    ['#', 'not-a-frame'],
    ['-1#', 'not-a-frame'],
    ['1e2#', 'not-a-frame'],
    [' 1#a', 'not-a-frame'],
    ['POST / HTTP/1.1\r\n', 'not-a-frame'],
    ['1#a{', 'not-a-frame'],
  ])('refuses %p as %s', (text, reason) => {
    expect(() => new FrameReader(1000).read(Buffer.from(text))).toThrow(reason);
  });

  it('refuses a frame that is too large by its length alone, and keeps nothing of it', () => {
    const reader = new FrameReader(1000);
    expect(() => reader.read(Buffer.from(`1001#${'x'.repeat(900)}`))).toThrow('too-large');
    expect(reader.heldBytes).toBe(0);
  });
});
