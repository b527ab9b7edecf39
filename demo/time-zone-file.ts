export interface Transition {
  /** Seconds since 1970. */
  readonly at: bigint;
  readonly type: number;
}

const HEADER_BYTES = 44;

/**
 * The transitions of a compiled time-zone file (TZif, RFC 9636); null when the file is not one. Times of version 2 are
 * used.
 */
export function readTransitions(file: Buffer): Transition[] | null {
  if (file.length < HEADER_BYTES || file.toString('latin1', 0, 4) !== 'TZif') return null;
  const version = file.toString('latin1', 4, 5);
  if (version < '2') return readBlock(file, 0, 4);
  return readBlock(file, HEADER_BYTES + blockBytes(file, 0, 4), 8);
}

/** The six counts of the header at `start`, in the order of the RFC: isut, isstd, leap, time, type, char. */
function readCounts(file: Buffer, start: number): number[] {
  return [20, 24, 28, 32, 36, 40].map((at) => file.readUInt32BE(start + at));
}

function blockBytes(file: Buffer, start: number, timeBytes: number): number {
  const [universal = 0, standard = 0, leaps = 0, times = 0, types = 0, characters = 0] = readCounts(file, start);
  return times * (timeBytes + 1) + types * 6 + characters + leaps * (timeBytes + 4) + standard + universal;
}

function readBlock(file: Buffer, start: number, timeBytes: 4 | 8): Transition[] {
  const times = readCounts(file, start)[3] ?? 0;
  const first = start + HEADER_BYTES;
  return Array.from({ length: times }, (_, index) => ({
    at: timeBytes === 8 ? file.readBigInt64BE(first + index * 8) : BigInt(file.readInt32BE(first + index * 4)),
    type: file.readUInt8(first + times * timeBytes + index),
  }));
}
