import { describe, expect, it } from '@jest/globals';
import { mongo } from 'mongoose';
import { readBatch, readDocuments } from './raw-batch.ts';

const { serialize } = mongo.BSON;

/** As the driver gives it with the option `raw`. */
function replyOf(cursor: mongo.Document): mongo.Document {
  return { ok: 1, cursor: Buffer.from(serialize(cursor)) };
}

describe('readBatch', () => {
  it('gives each document as its bytes, and says whether there are more', () => {
    const documents = Array.from({ length: 1_200 }, (_, i) => ({ _id: i, text: 'x'.repeat(i % 7) }));
    const firstBatch = { firstBatch: documents, ns: 'd.c' };
    const whole = readBatch(replyOf({ ...firstBatch, id: mongo.Long.ZERO }));
    expect(whole.isComplete).toBe(true);
    expect([...readDocuments(whole.batch)].map((bytes) => mongo.BSON.deserialize(bytes))).toEqual(documents);
    const id = mongo.Long.fromBigInt(-(2n ** 61n) + 5n);
    const more = readBatch(replyOf({ id, ...firstBatch }));
    expect([more.isComplete, more.cursorId.toBigInt()]).toEqual([false, id.toBigInt()]);
    const none = readBatch(replyOf({ firstBatch: [], id: mongo.Long.ZERO }));
    expect([...readDocuments(none.batch)]).toEqual([]);
  });

  it('refuses what is no reply with documents', () => {
    expect(() => readBatch({ ok: 1 })).toThrow('cursor');
    expect(() => readBatch(replyOf({ id: mongo.Long.ZERO }))).toThrow('batch');
    for (const value of [5, 'text', [1], null]) {
      const { batch } = readBatch(replyOf({ firstBatch: [{ a: 1 }, value], id: mongo.Long.ZERO }));
      expect(() => [...readDocuments(batch)]).toThrow('documents');
    }
  });
});
