import { describe, expect, test } from '@jest/globals';
import { readTransitions } from './time-zone-file.ts';

/** A TZif block with the given transitions and one time type. */
function makeBlock(version: string, timeBytes: 4 | 8, times: readonly bigint[]): Buffer {
  const header = Buffer.alloc(44);
  header.write(`TZif${version}`, 'latin1');
  header.writeUInt32BE(times.length, 32);
  header.writeUInt32BE(1, 36);
  header.writeUInt32BE(4, 40);
  const data = Buffer.alloc(times.length * (timeBytes + 1) + 6 + 4);
  times.forEach((time, index) => {
    if (timeBytes === 8) data.writeBigInt64BE(time, index * 8);
    else data.writeInt32BE(Number(time), index * 4);
    data.writeUInt8(index % 2, times.length * timeBytes + index);
  });
  return Buffer.concat([header, data]);
}

describe('time-zone files', () => {
  test('version 1 has times of 32 bits', () => {
    expect(readTransitions(makeBlock('\0', 4, [-5n, 7n]))).toEqual([
      { at: -5n, type: 0 },
      { at: 7n, type: 1 },
    ]);
  });

  test('of version 2 the block with 64 bits is read', () => {
    const file = Buffer.concat([makeBlock('2', 4, [1n]), makeBlock('2', 8, [-9_000_000_000n, 1n])]);
    expect(readTransitions(file)?.map(({ at }) => at)).toEqual([-9_000_000_000n, 1n]);
  });

  test('another file is not a time zone', () => {
    expect(readTransitions(Buffer.from('# tzdb data'))).toBeNull();
  });
});
