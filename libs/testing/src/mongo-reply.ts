import { mongo } from 'mongoose';

const OP_REPLY = 1;
export const OP_MSG = 2013;

/** Of the request `to`; `asReply` of an OP_QUERY, which only the first hello of a driver is. */
export function encodeMongoReply(to: number, answer: mongo.Document, asReply: boolean): Buffer {
  const document = mongo.BSON.serialize(answer, { ignoreUndefined: true });
  const before = asReply ? Buffer.alloc(20) : Buffer.alloc(5);
  if (asReply) before.writeInt32LE(1, 16);
  const header = Buffer.alloc(16);
  header.writeInt32LE(16 + before.length + document.length, 0);
  header.writeInt32LE(to, 8);
  header.writeInt32LE(asReply ? OP_REPLY : OP_MSG, 12);
  return Buffer.concat([header, before, document]);
}
