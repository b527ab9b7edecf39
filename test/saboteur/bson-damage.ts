import mongoose from 'mongoose';
import type { Random } from '../types/random.ts';

const { Binary, Decimal128, Double, Int32, Long } = mongoose.mongo;

export type Fields = Record<string, unknown>;

/** A value in a document, and how to put another in its place. */
interface Place {
  readonly value: unknown;
  readonly replace: (value: unknown) => void;
}

/** Every value in `fields`, also those in documents and lists. */
function listPlaces(fields: Fields | unknown[]): Place[] {
  return Object.entries(fields).flatMap(([name, value]): Place[] => {
    if (isContainer(value)) return listPlaces(value);
    return [{ value, replace: (other) => void ((fields as Fields)[name] = other) }];
  });
}

function isContainer(value: unknown): value is Fields | unknown[] {
  if (Array.isArray(value)) return true;
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** The same value with one bit turned; null where that is not possible, or might leave the value the same. */
function turnOneBit(value: unknown, random: Random): unknown {
  if (typeof value === 'boolean') return !value;
  if (typeof value === 'string') {
    const places = [...value.matchAll(/[\p{L}\p{N}]/gu)].flatMap(({ 0: { length }, index }) =>
      length === 1 ? index : [],
    );
    if (places.length === 0) return null;
    const at = random.pick(places);
    return `${value.slice(0, at)}${String.fromCharCode(value.charCodeAt(at) ^ 1)}${value.slice(at + 1)}`;
  }
  if (value instanceof Int32) return new Int32(value.valueOf() ^ (1 << random.between(0, 31)));
  if (value instanceof Long) return value.xor(Long.ONE.shiftLeft(random.between(0, 63)));
  if (value instanceof Double) {
    if (value.valueOf() === 0) return null; // 0 and -0 are one value to MySQL
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(value.valueOf());
    flip(bytes, random.between(0, 51));
    return new Double(bytes.readDoubleLE());
  }
  if (value instanceof Decimal128) {
    const bytes = Buffer.from(value.bytes);
    flip(bytes, random.between(0, 90)); // in the coefficient
    return new Decimal128(bytes);
  }
  if (value instanceof Binary) {
    if (value.length() === 0) return null;
    const bytes = Buffer.from(value.buffer.subarray(0, value.length()));
    flip(bytes, random.between(0, bytes.length * 8 - 1));
    return new Binary(bytes, value.sub_type);
  }
  return null;
}

function flip(bytes: Buffer, bit: number): void {
  bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
}

/** Turns one bit of one value in `row`. False when no value of it can be damaged so. */
export function damageOneBit(row: Fields, random: Random): boolean {
  const candidates = listPlaces(row).flatMap(({ value, replace }) => {
    const other = turnOneBit(value, random);
    return other === null ? [] : [() => replace(other)];
  });
  if (candidates.length === 0) return false;
  random.pick(candidates)();
  return true;
}

const WITH_FRACTION = /^(.*\d{2}:\d{2}:\d{2}\.\d{0,5})(\d)(Z?)$/;

/** Moves a time by one in its last digit, a microsecond mostly. False when `row` has no time with a fraction. */
export function damageTime(row: Fields, random: Random): boolean {
  const candidates = Object.entries(row).flatMap(([name, value]) => {
    const parts = typeof value === 'string' ? WITH_FRACTION.exec(value) : null;
    if (parts === null) return [];
    const [, front = '', digit = '', zone = ''] = parts;
    return [() => void (row[name] = `${front}${digit === '9' ? '8' : String(Number(digit) + 1)}${zone}`)];
  });
  if (candidates.length === 0) return false;
  random.pick(candidates)();
  return true;
}
