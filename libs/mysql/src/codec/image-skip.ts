import { type PhysicalColumn, PREFIXED, valueBytes } from '../layout/wire-types.ts';

/**
 * Where the full image at `at` ends. Throws `RangeError` when that is after `end`: a caller that has the end may trust
 * every length in the image.
 */
export type ImageSkip = (bytes: Buffer, at: number, end: number) => number;

function fail(): never {
  throw new RangeError('a row image does not end in its event');
}

/** `bytes[at + i] | bytes[at + i + 1] << 8 …` for `count` bytes. */
function littleEndian(at: string, count: number): string {
  const terms = Array.from({ length: count }, (_, i) =>
    i === 0 ? `bytes[${at}]` : `bytes[${at} + ${i}] << ${8 * i}`,
  ).join(' | ');
  return count === 4 ? `((${terms}) >>> 0)` : `(${terms})`;
}

/** Values without a NULL among them: runs of fixed sizes are one addition. */
function wholeRow(columns: readonly PhysicalColumn[]): string {
  const code: string[] = [];
  let run = 0;
  for (const column of columns) {
    const size = valueBytes(column);
    if (size === null) throw new TypeError(`no size for column type ${column.type}`);
    if (size !== PREFIXED) {
      run += size;
      continue;
    }
    if (run > 0) code.push(`p += ${run};`);
    code.push(prefixed(column.size));
    run = 0;
  }
  if (run > 0) code.push(`p += ${run};`);
  return code.join('\n');
}

function prefixed(size: number): string {
  return `if (p + ${size} > end) fail(); p += ${size} + ${littleEndian('p', size)};`;
}

function eachValue(columns: readonly PhysicalColumn[]): string {
  return columns
    .map((column, i) => {
      const size = valueBytes(column);
      const step = size === null || size === PREFIXED ? prefixed(column.size) : `p += ${size};`;
      return `if ((bytes[at + ${i >> 3}] & ${1 << (i & 7)}) === 0) { ${step} }`;
    })
    .join('\n');
}

/** Bytes of the NULL bits at the start of an image of `columns` columns. */
export function nullBytes(columns: number): number {
  return (columns + 7) >> 3;
}

/** True for an image without NULL. Bits beyond the last column may be set. */
function noNulls(count: number): string {
  const lastMask = 0xff >> (7 - ((count - 1) & 7));
  return Array.from({ length: nullBytes(count) }, (_, i) =>
    i === nullBytes(count) - 1 ? `(bytes[at + ${i}] & ${lastMask}) === 0` : `bytes[at + ${i}] === 0`,
  ).join(' && ');
}

/** Compiles the skip of a table's full images: NULL bits, then the values of the columns that are not NULL. */
export function compileImageSkip(columns: readonly PhysicalColumn[]): ImageSkip {
  const body = [
    '"use strict";',
    'return function skipImage(bytes, at, end) {',
    `let p = at + ${nullBytes(columns.length)};`,
    'if (p > end) fail();',
    `if (${noNulls(columns.length)}) {`,
    wholeRow(columns),
    '} else {',
    eachValue(columns),
    '}',
    'if (p > end) fail();',
    'return p;',
    '};',
  ].join('\n');
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- compiled once for each layout
  const makeSkip = new Function('fail', body) as (whenBehind: typeof fail) => ImageSkip;
  return makeSkip(fail);
}
