import { mongo } from 'mongoose';
import { type EncodedDocument, type MirrorDocument } from '../src/index.ts';

/** The document that was encoded, by the driver's own reader, which refuses what is no valid BSON up to its last byte. */
export function readDocument({ bytes }: Pick<EncodedDocument, 'bytes'>): MirrorDocument {
  return mongo.BSON.deserialize(bytes) as MirrorDocument;
}

/** Documents of a field that a command carries as a section of its own (kind 1 of OP_MSG, MongoDB manual, "Wire Protocol"). */
export function readSequence<Document>(command: mongo.Document, field: string): Document[] {
  const section = Buffer.from((command[field] as { toBin(): Uint8Array }).toBin());
  const name = section.toString('utf8', 5, 5 + field.length + 1);
  if (section[0] !== 1 || section.readInt32LE(1) !== section.length - 1 || name !== `${field}\0`)
    throw new Error(`not a section of ${field}`);
  const documents: Document[] = [];
  for (let at = 6 + field.length; at < section.length; at += section.readInt32LE(at))
    documents.push(mongo.BSON.deserialize(section.subarray(at, at + section.readInt32LE(at))) as Document);
  return documents;
}
