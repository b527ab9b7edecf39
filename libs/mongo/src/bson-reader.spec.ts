import { describe, expect, it } from '@jest/globals';
import { mongo } from 'mongoose';
import { findFirstEnd, readElements } from './bson-reader.ts';

const document = Buffer.from(mongo.BSON.serialize({ a: 'x', b: { c: 1 }, d: [true] }));

function change(edit: (bytes: Buffer) => Buffer): Buffer {
  return edit(Buffer.from(document));
}

function setByte(at: number, value: number): Buffer {
  return change((bytes) => {
    bytes[at < 0 ? bytes.length + at : at] = value;
    return bytes;
  });
}

describe('readElements', () => {
  it('gives the elements in their order', () => {
    expect([...readElements(document)].map(({ name, type }) => [name, type])).toEqual([
      ['a', 2],
      ['b', 3],
      ['d', 4],
    ]);
    expect([...readElements(mongo.BSON.serialize({}))]).toEqual([]);
    expect(findFirstEnd(document)).toBe(13);
  });

  it.each<[string, Buffer]>([
    ['nothing', Buffer.alloc(0)],
    ['less than a document', Buffer.from([4, 0, 0, 0])],
    ['one byte less', document.subarray(0, -1)],
    ['one byte more', Buffer.concat([document, Buffer.alloc(1)])],
    ['an end in its middle', setByte(4, 0)],
    ['no end', setByte(-1, 1)],
    ['a type that BSON has not', setByte(4, 0x20)],
    ['a length that leads back', setByte(10, 0x80)],
    ['a length that leads out', setByte(8, 1)],
    ['a name without an end', Buffer.from([7, 0, 0, 0, 10, 97, 97])],
  ])('refuses %s', (_, bytes) => {
    expect(() => [...readElements(bytes)]).toThrow(/BSON/);
  });
});
