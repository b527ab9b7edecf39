// Rows that pass through a service beside what it keeps, as when tables are copied: prints by how much resident memory
// grew. usage: node --conditions=source libs/platform/test/passing-load.ts
import { readFileSync } from 'node:fs';
import { limitHeapGrowth } from '../src/service/heap-growth.ts';

const KEPT = 250_000;
const ROWS = 400_000;
const ROWS_OF_CHUNK = 2_000;

function peakBytes(): number {
  const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'latin1')) ?? [];
  return Number(kilobytes) * 1024;
}

function text(index: number, length: number): string {
  return Buffer.from(String(index).padEnd(length, 'abcdefgh')).toString('latin1');
}

limitHeapGrowth();
const base = Array.from({ length: KEPT }, (_, index) => ({ index, name: `object ${index}`, list: [index, { index }] }));
const before = process.memoryUsage.rss();
let [written, chunk, last]: [number, unknown[][], unknown[][]] = [0, [], []];
for (let index = 0; index < ROWS; index++) {
  chunk.push([index, text(index, 26), text(index, 27), text(index, 40), Math.sqrt(index), text(index, 9)]);
  if (chunk.length < ROWS_OF_CHUNK) continue;
  // rows live for a chunk or two: long enough to die in the old generation
  for (const row of last) written += JSON.stringify(row).length;
  [last, chunk] = [chunk, []];
  await new Promise(setImmediate);
}
process.stdout.write(JSON.stringify({ growth: peakBytes() - before, written, kept: base.length }));
