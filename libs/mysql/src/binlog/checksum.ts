import { crc32 } from 'node:zlib';

/** Below this many bytes the tables win: the native call has a fixed price, and also needs a view on the bytes. */
const NATIVE_FROM_BYTES = 256;

/** CRC-32 of ISO 3309, reflected; what MySQL's `my_checksum` and zlib compute. */
const POLYNOMIAL = 0xedb88320;

/** Table `k` carries one byte over `k` further zero bytes: eight bytes are taken at a time. */
function makeTables(): Int32Array[] {
  const first = new Int32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ POLYNOMIAL;
    first[byte] = crc;
  }
  const all = [first];
  for (let distance = 1; distance < 8; distance++) {
    const nearer = all[distance - 1] as Int32Array;
    all.push(nearer.map((crc) => (first[crc & 0xff] as number) ^ (crc >>> 8)));
  }
  return all;
}

const tables = makeTables();
const [t0, t1, t2, t3] = tables as [Int32Array, Int32Array, Int32Array, Int32Array];
const [t4, t5, t6, t7] = tables.slice(4) as [Int32Array, Int32Array, Int32Array, Int32Array];

function tableChecksum(bytes: Buffer, start: number, end: number): number {
  let crc = -1;
  let at = start;
  for (const last = end - 8; at <= last; at += 8) {
    crc ^=
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24);
    crc =
      (t7[crc & 0xff] as number) ^
      (t6[(crc >>> 8) & 0xff] as number) ^
      (t5[(crc >>> 16) & 0xff] as number) ^
      (t4[crc >>> 24] as number) ^
      (t3[bytes[at + 4] as number] as number) ^
      (t2[bytes[at + 5] as number] as number) ^
      (t1[bytes[at + 6] as number] as number) ^
      (t0[bytes[at + 7] as number] as number);
  }
  for (; at < end; at++) crc = (t0[(crc ^ (bytes[at] as number)) & 0xff] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** The CRC-32 that the log stores little-endian in the last four bytes of an event, of the bytes before it. */
export function eventChecksum(bytes: Buffer, start: number, end: number): number {
  if (end - start < NATIVE_FROM_BYTES) return tableChecksum(bytes, start, end);
  return crc32(bytes.subarray(start, end));
}
