import { type CanonicalValue, type Column } from '#change-events';
import { mongo } from 'mongoose';
import { jsonToBson } from '../src/json-to-bson.ts';

/** The driver gives its classes by getters: looked up once, not for each value. */
const { Decimal128, Double, Long } = mongo;

/** From a canonical value that is not null to what the driver writes as the right BSON type. */
type BsonEncoder = (value: never) => unknown;

const MAX_DECIMAL128_DIGITS = 34;
const MAX_INT64 = (1n << 63n) - 1n;

/**
 * The encoder of a column's values (docs/types.md); null where the canonical value itself is what the
 * driver needs: text as string, bytes as Binary of subtype 0, booleans, and integers whose type fits 32 bits.
 */
function findBsonEncoder(column: Column): BsonEncoder | null {
  switch (column.kind) {
    case 'integer':
      return column.type.startsWith('int') && column.unsigned ? encodeLong : null;
    case 'bigint':
      return encodeBigint;
    case 'decimal':
      return column.precision <= MAX_DECIMAL128_DIGITS ? encodeDecimal : null;
    case 'float':
    case 'double':
      return encodeDouble;
    case 'json':
      return jsonToBson;
    case 'vector':
      return encodeVector;
    case 'boolean':
    case 'text':
    case 'bytes':
    case 'bits':
    case 'date':
    case 'time':
    case 'datetime':
    case 'timestamp':
    case 'enum':
    case 'set':
    case 'geometry':
      return null;
  }
}

/** What the driver has to be given for one of the column's canonical values: what bytes of ours are compared with. */
export function encodeBsonValue(column: Column, value: CanonicalValue): unknown {
  const encode = findBsonEncoder(column);
  return value === null || encode === null ? value : encode(value as never);
}

function encodeDecimal(value: string): mongo.Decimal128 {
  return Decimal128.fromString(value);
}

function encodeLong(value: number): mongo.Long {
  return new Long(value | 0, Math.floor(value / 0x1_0000_0000));
}

function encodeBigint(value: number | bigint): mongo.Long | mongo.Decimal128 {
  if (typeof value === 'number') return encodeLong(value);
  return value <= MAX_INT64 ? Long.fromBigInt(value) : Decimal128.fromString(value.toString());
}

/** The driver writes a whole number as Int32 unless the type is given. */
function encodeDouble(value: number): number | mongo.Double {
  return Number.isInteger(value) ? new Double(value) : value;
}

function encodeVector(bytes: Buffer): mongo.Double[] {
  const values: mongo.Double[] = [];
  for (let offset = 0; offset + 4 <= bytes.length; offset += 4) values.push(new Double(bytes.readFloatLE(offset)));
  return values;
}
