import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { EventType, HEADER_BYTES, type EventBytes } from './event-header.ts';
import { parseAnyGtidEvent } from './gtid-event.ts';

/** Little-endian bytes of a number that is not negative. */
function bytesOf(value: bigint, count: number): Buffer {
  return Buffer.from(Array.from({ length: count }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn)));
}

/** MySQL's serialization library: as many one-bits as bytes follow, a zero, the number; 0xff before a number of 64 bits. */
function unsigned(value: bigint): Buffer {
  for (let more = 0; more < 8; more++)
    if (value < 1n << BigInt(7 * (more + 1)))
      return bytesOf((value << BigInt(more + 1)) | ((1n << BigInt(more)) - 1n), more + 1);
  return Buffer.concat([Buffer.of(0xff), bytesOf(value, 8)]);
}

function signed(value: bigint): Buffer {
  return unsigned(value < 0n ? -value * 2n - 1n : value * 2n);
}

interface Gtid {
  readonly sid: Buffer;
  readonly number: bigint;
  readonly tag: string;
  readonly clocks: readonly [bigint, bigint];
  readonly immediate: bigint;
  readonly original: bigint | null;
  readonly flags: number;
}

function eventOf(body: Buffer): EventBytes {
  const before = 3;
  const bytes = Buffer.concat([Buffer.alloc(before + HEADER_BYTES, 0xee), body, Buffer.alloc(20, 0xee)]);
  return { bytes, start: before, body: before + HEADER_BYTES, end: before + HEADER_BYTES + body.length };
}

function plainBody({ sid, number, clocks, immediate, original, flags }: Gtid): Buffer {
  const times =
    original === null ? [bytesOf(immediate, 7)] : [bytesOf(immediate | (1n << 55n), 7), bytesOf(original, 7)];
  const logical = clocks.map((clock) => bytesOf(BigInt.asUintN(64, clock), 8));
  return Buffer.concat([Buffer.of(flags), sid, bytesOf(number, 8), Buffer.of(2), ...logical, ...times]);
}

/** The parts of the message, each whole. */
function taggedParts({ sid, number, tag, clocks, immediate, original, flags }: Gtid, size: bigint): Buffer[] {
  return [
    Buffer.concat([unsigned(1n), unsigned(size), unsigned(7n)]),
    Buffer.concat([unsigned(0n), unsigned(BigInt(flags))]),
    Buffer.concat([unsigned(1n), ...[...sid].map((byte) => unsigned(BigInt(byte)))]),
    Buffer.concat([unsigned(2n), signed(number)]),
    Buffer.concat([unsigned(3n), unsigned(BigInt(tag.length)), Buffer.from(tag)]),
    ...clocks.map((clock, i) => Buffer.concat([unsigned(BigInt(4 + i)), signed(clock)])),
    Buffer.concat([unsigned(6n), unsigned(immediate)]),
    ...(original === null ? [] : [Buffer.concat([unsigned(7n), unsigned(original)])]),
  ];
}

function textOf({ sid, number, tag }: Gtid): string {
  const uuid = [sid.subarray(0, 4), sid.subarray(4, 6), sid.subarray(6, 8), sid.subarray(8, 10), sid.subarray(10)]
    .map((part) => part.toString('hex'))
    .join('-');
  return tag === '' ? `${uuid}:${number}` : `${uuid}:${tag}:${number}`;
}

/** Of each length in bits as often. */
const upTo = (bits: number): fc.Arbitrary<bigint> =>
  fc.integer({ min: 1, max: bits }).chain((length) => fc.bigInt({ min: 0n, max: (1n << BigInt(length)) - 1n }));
/** Ids of servers that differ in one byte, at any place. */
const sid = fc
  .tuple(fc.constantFrom(0x00, 0x7f, 0x80, 0xff), fc.nat(15), fc.nat(255))
  .map(([fill, at, byte]) => Buffer.alloc(16, fill).fill(byte, at, at + 1));
const gtid: fc.Arbitrary<Gtid> = fc.record({
  sid,
  number: upTo(63).map((number) => number || 1n),
  tag: fc.constantFrom('', 'a', 'blue_1', 't'.repeat(32)),
  clocks: fc.tuple(
    upTo(63).map((clock) => (clock % 2n === 0n ? clock : -clock)),
    upTo(63),
  ),
  immediate: upTo(53),
  original: fc.option(upTo(53)),
  flags: fc.constantFrom(0, 1),
});
const micros = ({ immediate, original }: Gtid): number => Number(original ?? immediate);

describe('parseAnyGtidEvent', () => {
  test('I2, I3: reads each GTID and its first commit, of servers by turns', () => {
    fc.assert(
      fc.property(fc.array(gtid, { minLength: 1, maxLength: 8 }), (gtids) => {
        for (const given of gtids) {
          const plain = { ...given, tag: '' };
          expect(parseAnyGtidEvent(EventType.gtid, eventOf(plainBody(plain)))).toEqual({
            gtid: textOf(plain),
            commitMicros: micros(given),
          });
          expect(parseAnyGtidEvent(EventType.anonymousGtid, eventOf(plainBody(plain)))).toEqual({
            gtid: null,
            commitMicros: micros(given),
          });
          const tagged = Buffer.concat(taggedParts(given, given.immediate));
          expect(parseAnyGtidEvent(EventType.gtidTagged, eventOf(tagged))).toEqual({
            gtid: textOf(given),
            commitMicros: micros(given),
          });
        }
      }),
      { numRuns: 300 },
    );
  });

  test('a commit time that is cut off, or of another clock, is left out', () => {
    fc.assert(
      fc.property(gtid, fc.nat(13), fc.constantFrom(0, 1, 3), (given, cut, clock) => {
        const whole = eventOf(plainBody(given));
        const times = given.original === null ? 7 : 14;
        const cutOff = { ...whole, end: whole.end - 1 - (cut % times) };
        expect(parseAnyGtidEvent(EventType.gtid, cutOff).commitMicros).toBe(0);
        whole.bytes[whole.body + 25] = clock;
        expect(parseAnyGtidEvent(EventType.gtid, whole).commitMicros).toBe(0);
      }),
    );
  });

  test('I6: of a tagged one that is cut off nothing is read but whole fields, and none without server and number', () => {
    fc.assert(
      fc.property(gtid, (given) => {
        const parts = taggedParts(given, 1n);
        const ends = parts.map((_, i) => Buffer.concat(parts.slice(0, i + 1)).length);
        const whole = eventOf(Buffer.concat(parts));
        for (let length = 0; length < whole.end - whole.body; length++) {
          const fields = ends.indexOf(length);
          const read = (): unknown => parseAnyGtidEvent(EventType.gtidTagged, { ...whole, end: whole.body + length });
          if (fields < 3) expect(read).toThrow();
          else expect(read()).toMatchObject({ gtid: textOf(fields > 3 ? given : { ...given, tag: '' }) });
        }
      }),
      { numRuns: 30 },
    );
  });

  test('I6: a tagged one of another version, or with a malformed number, is refused; later fields are passed over', () => {
    const [given] = fc.sample(gtid, { numRuns: 1, seed: 1 }) as [Gtid];
    const body = Buffer.concat(taggedParts(given, 1n));
    const later = Buffer.concat([body, unsigned(8n), Buffer.alloc(3, 0xff)]);
    expect(parseAnyGtidEvent(EventType.gtidTagged, eventOf(later)).gtid).toBe(textOf(given));
    for (const version of [0n, 2n]) {
      const other = Buffer.concat([unsigned(version), body.subarray(1)]);
      expect(() => parseAnyGtidEvent(EventType.gtidTagged, eventOf(other))).toThrow('version');
    }
    for (const number of [0n, -1n]) {
      const none = Buffer.concat(taggedParts({ ...given, number }, 1n));
      expect(() => parseAnyGtidEvent(EventType.gtidTagged, eventOf(none))).toThrow('number');
    }
  });
});
