// Measures the CPU time of the hot paths on one core (so other load matters little); prints one line each. usage: node --conditions=source libs/change-events/test/rates.ts
import {
  changeId,
  changeVersion,
  asRowChanges,
  compileKeyEncoder,
  EnvelopeWriter,
  GtidAccumulator,
  partitionForKey,
  type RowChange,
} from '#change-events';
import { makeColumn, makeLayout, makeTransaction } from './samples.ts';

const ROUNDS = 9;
const ROWS = 100_000;
/** As in a log: a transaction of this many rows, then the next. */
const ROWS_PER_TRANSACTION = Number(process.argv[2] ?? 500);

/** The ten-column table of the benchmarks. */
const orders = makeLayout(
  [
    makeColumn('id', 'bigint', { type: 'bigint', unsigned: true }),
    makeColumn('customer_id', 'integer', { type: 'int' }),
    makeColumn('status', 'integer', { type: 'tinyint' }),
    makeColumn('ref', 'text', { type: 'varchar', length: 32 }),
    makeColumn('sku', 'text', { type: 'varchar', length: 24 }),
    makeColumn('amount', 'decimal', { type: 'decimal', precision: 18, scale: 4 }),
    makeColumn('quantity', 'integer', { type: 'int', unsigned: true }),
    makeColumn('placed_at', 'datetime', { type: 'datetime', scale: 6 }),
    makeColumn('updated_at', 'timestamp', { type: 'timestamp', scale: 3 }),
    makeColumn('note', 'text', { type: 'text' }),
  ],
  [0],
);

/** Decoded text is flat and its own: made from bytes, as the row decoder does. */
function decoded(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}

function makeChanges(): RowChange[] {
  let transaction = makeTransaction();
  return Array.from({ length: ROWS }, (_, i) => {
    if (i % ROWS_PER_TRANSACTION === 0) transaction = makeTransaction({ offset: 4 + i * 200 });
    const micros = String(100_000 + (i % 900_000));
    const after = [
      4_000_000 + i,
      i % 60_000,
      i % 5,
      decoded(`ref-${i}-abcdefghijkl`),
      decoded(`sku-${i % 5000}`),
      decoded(`${i % 100_000}.${1000 + (i % 9000)}`),
      i % 100,
      decoded(`2026-02-03T04:05:06.${micros}`),
      decoded(`2026-02-03T04:05:06.${micros.slice(0, 3)}Z`),
      decoded(`A note about the order ${i}, long enough to be like what people really write there.`),
    ];
    const rowIndex = i % ROWS_PER_TRANSACTION;
    return {
      op: 'create',
      layout: orders,
      before: null,
      after,
      transaction,
      rowIndex,
      readSequence: 0,
      windowId: null,
    };
  });
}

function measure(name: string, operations: number, run: () => void): void {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const began = process.threadCpuUsage();
    run();
    const { user, system } = process.threadCpuUsage(began);
    times.push((user + system) / operations);
  }
  times.sort((a, b) => a - b);
  const [best, median] = [times[0] ?? 0, times[times.length >> 1] ?? 0];
  process.stdout.write(`${name}: median ${median.toFixed(3)} µs of CPU time, best ${best.toFixed(3)} µs\n`);
}

const changes = makeChanges();
const encodeKey = compileKeyEncoder(orders);
const envelope = new EnvelopeWriter(orders, { source: 'shop', version: '0.1.0', bigint: 'number' });
const scratch = Buffer.allocUnsafe(64 * 1024);
let length = 0;

const events = changes.map(asRowChanges);
measure('envelope and key of values, as bytes', ROWS, () => {
  for (const event of events) {
    if (envelope.bound(event, 0) > scratch.length) throw new RangeError('a row is larger than the scratch buffer');
    length += envelope.write(event, 0, 'whole', 1_770_000_000_000, scratch, 0);
    length += scratch.write(encodeKey(event.after?.row(0) ?? []), 0, 'utf8');
  }
});
measure('partition of a key', ROWS, () => {
  const key = Buffer.from('{"id":4000000}');
  for (let i = 0; i < ROWS; i++) length += partitionForKey(key, 12);
});
measure('ditto.id and ditto.version', ROWS, () => {
  for (const change of changes) length += changeId(change).length + changeVersion(change).length;
});
const reads = changes.map((change): RowChange => ({ ...change, op: 'read', windowId: 'w-1', readSequence: 7 }));
measure('ditto.id of a read', ROWS, () => {
  for (const change of reads) length += changeId(change).length;
});
const gtids = Array.from({ length: ROWS }, (_, i) => decoded(`3e11fa47-71ca-11e1-9e33-c80aa9429562:${i + 1}`));
measure('GTID added in sequence', ROWS, () => {
  const accumulator = new GtidAccumulator();
  for (const gtid of gtids) accumulator.add(gtid);
  length += accumulator.toString().length;
});
process.stdout.write(`checked ${length} characters, ${ROWS_PER_TRANSACTION} rows per transaction\n`);
