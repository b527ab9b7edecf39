import { LOWEST_VERSION } from '#change-events';
import { mongo } from 'mongoose';
import { findFirstEnd, readElements } from './bson-reader.ts';
import { BsonType, type BsonWriter, makeLabel } from './bson-writer.ts';
import { BY_MAJORITY, runStatement } from './write-command.ts';

/** What `$type` says (MongoDB manual, "$type (aggregation)"). */
const TYPE_NAMES: Readonly<Record<number, string>> = {
  0x01: 'double',
  0x02: 'string',
  0x03: 'object',
  0x04: 'array',
  0x05: 'binData',
  0x06: 'undefined',
  0x07: 'objectId',
  0x08: 'bool',
  0x09: 'date',
  0x0a: 'null',
  0x0b: 'regex',
  0x0c: 'dbPointer',
  0x0d: 'javascript',
  0x0e: 'symbol',
  0x0f: 'javascriptWithScope',
  0x10: 'int',
  0x11: 'timestamp',
  0x12: 'long',
  0x13: 'decimal',
  0x7f: 'maxKey',
  0xff: 'minKey',
};

const LENGTH_BYTES = 4;
const QUERY = makeLabel(BsonType.document, 'q');
const ID = makeLabel(BsonType.document, '_id');
const EXPRESSION = makeLabel(BsonType.document, '$expr');
const CONDITION = makeLabel(BsonType.array, '$cond');
const FIRST = makeLabel(BsonType.document, '0');
const EQUAL = makeLabel(BsonType.array, '$eq');
const WHOLE = makeLabel(BsonType.string, '0');
const SECOND = makeLabel(BsonType.document, '1');
const LITERAL = makeLabel(BsonType.document, '$literal');
const OTHERWISE = makeLabel(BsonType.boolean, '2');
const LIMIT = makeLabel(BsonType.int32, 'limit');
const LOWERED = mongo.BSON.serialize({
  u: [{ $set: { v: { $literal: LOWEST_VERSION }, gtid: { $literal: null } } }],
}).subarray(LENGTH_BYTES, -1);

/**
 * Gives a document the lowest version, so that whatever change comes next replaces it, if it is still the one that was
 * seen. False when it is another one by now. Rejects with a coded error, and may then have been done.
 *
 * Look and write are one step of the server, so no change of DSS in between is lost. One that was written gave the
 * document its version, which is not the one that was seen, and nothing is done. One that was refused because of what
 * the document has as its version is not in the mirror either way; the read that is asked for afterwards brings it, and
 * nothing refuses that any more. What is older than the document's content may now be written over it, by a process that
 * was frozen: that read has a higher version.
 */
export async function lowerVersion(documents: mongo.Collection, seen: Buffer): Promise<boolean> {
  const writeStatement = (writer: BsonWriter): void => {
    writeCondition(writer, seen);
    writer.raw(LOWERED);
  };
  const { n = 0 } = await runStatement(documents.db, { update: documents.collectionName }, writeStatement, BY_MAJORITY);
  return n > 0;
}

/** The same for one that no change can ever replace: it is removed. */
export async function removeDocument(documents: mongo.Collection, seen: Buffer): Promise<boolean> {
  const writeStatement = (writer: BsonWriter): void => {
    writeCondition(writer, seen);
    writer.int32(LIMIT, 1);
  };
  const { n = 0 } = await runStatement(documents.db, { delete: documents.collectionName }, writeStatement, BY_MAJORITY);
  return n > 0;
}

/**
 * The element `q`: the document is the one that was seen. MongoDB's equality sees names, order and each value, yet 1 is
 * 1.0 to it and 1.50 is 1.5: so the types of all fields and columns are compared too, and the length. What remains is a
 * number inside a JSON document or of a DECIMAL that somebody writes otherwise, with the same value, in between.
 */
function writeCondition(writer: BsonWriter, seen: Buffer): void {
  const idEnd = findFirstEnd(seen);
  const idStart = seen.indexOf(0, LENGTH_BYTES + 1) + 1;
  const query = writer.beginIn(QUERY);
  const id = writer.beginIn(ID);
  writer.raw(makeLabel(seen[LENGTH_BYTES] as number, '$eq'));
  writer.raw(seen.subarray(idStart, idEnd));
  writer.end(id);
  const expression = writer.beginIn(EXPRESSION);
  const condition = writer.beginIn(CONDITION);
  const first = writer.beginIn(FIRST);
  const equal = writer.beginIn(EQUAL);
  writer.string(WHOLE, '$$ROOT');
  const literal = writer.beginIn(SECOND);
  writer.raw(LITERAL);
  writer.raw(seen);
  writer.end(literal);
  writer.end(equal);
  writer.end(first);
  // asked only of a document that is equal: it has a row, or not, as the one that was seen
  writer.raw(mongo.BSON.serialize({ 1: hasFormOf(seen) }).subarray(LENGTH_BYTES, -1));
  writer.boolean(OTHERWISE, false);
  writer.end(condition);
  writer.end(expression);
  writer.end(query);
}

/** An expression: length and types are those of the document that was seen. */
function hasFormOf(seen: Buffer): mongo.Document {
  const conditions: mongo.Document[] = [{ $eq: [{ $bsonSize: '$$ROOT' }, seen.length] }];
  const fields = [...readElements(seen)];
  conditions.push(typesAre('$$ROOT', fields));
  for (const { name, type, start, end } of fields)
    if (name === 'row' && type === BsonType.document)
      conditions.push(typesAre('$row', [...readElements(seen.subarray(start, end))]));
  return { $and: conditions };
}

function typesAre(document: string, fields: readonly { readonly type: number }[]): mongo.Document {
  const types = fields.map(({ type }) => TYPE_NAMES[type]);
  return { $eq: [{ $map: { input: { $objectToArray: document }, in: { $type: '$$this.v' } } }, types] };
}
