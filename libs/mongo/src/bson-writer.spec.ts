import { describe, expect, it } from '@jest/globals';
import { mongo } from 'mongoose';
import { BsonType, BsonWriter, makeLabel } from './bson-writer.ts';

const NOTE = makeLabel(BsonType.string, 'note');

describe('BsonWriter', () => {
  it.each(['x', 'é', '€', '😀', '\ud800'])('I9: a long text of %j takes no more room than its bytes', (unit) => {
    const text = unit.repeat(100_000);
    const capacity = Buffer.byteLength(text) + 64;
    const writer = new BsonWriter(capacity);
    const start = writer.begin();
    writer.string(NOTE, text);
    writer.end(start);
    expect(writer.bytes).toHaveLength(capacity);
    expect(mongo.BSON.deserialize(writer.bytes.subarray(0, writer.at))).toEqual({ note: text.toWellFormed() });
  });
});
