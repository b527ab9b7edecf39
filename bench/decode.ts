// How fast a recorded log becomes values or JSON, without servers and sinks: Ditto's reader and zongji in turns.
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type RowImages } from '#change-events';
import { connectionOptionsFromUrl, RecordedLog } from '#mysql';
import { type SourceItem } from '#replication';
import { findCacheFolder, type Stack, startStack } from '#stack';
import { withMySql } from '../demo/access.ts';
import { describeMachine, readVersions } from './machine.ts';
import { round } from './statistics.ts';
import { createTable, writeBacklog } from './workload.ts';
import { ZongjiDecoder } from './zongji-decoder.ts';

export const DECODE_USAGE = `usage: npm run --silent bench -- decode [options]
  --rows N (300000)   --rows-per-transaction T (500)   --rounds R (5)
  A list, as 500,1, is recorded and measured one after the other.
`;

const TARGET_BYTES = 1024 * 1024;

interface Measured {
  readonly reader: 'ditto' | 'zongji';
  readonly to: 'values' | 'json';
  /** Reads the whole log; returns the number of rows. */
  readonly run: () => number;
}

interface Round {
  readonly milliseconds: number;
  readonly cpuMicros: number;
}

function imagesOf(item: SourceItem): RowImages | null {
  return item.type === 'rows' ? (item.after ?? item.before) : null;
}

function decodeToValues(log: RecordedLog): number {
  let rows = 0;
  log.replay((item) => {
    const images = imagesOf(item);
    if (images === null) return;
    for (let i = 0; i < images.count; i++) if (images.row(i).length > 0) rows++;
  });
  return rows;
}

/** Key and row of each image, as they go into a record batch. */
function decodeToJson(log: RecordedLog, target: Buffer): number {
  let rows = 0;
  let at = 0;
  log.replay((item) => {
    const images = imagesOf(item);
    if (images === null) return;
    for (let i = 0; i < images.count; i++) {
      if (at + 2 * images.jsonBound(i, 'number') > target.length) at = 0;
      at = images.writeKey(i, target, at, 'number');
      at = images.writeJson(i, target, at, 'number');
      rows++;
    }
  });
  return rows;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}

function measureOnce({ run }: Measured, expected: number): Round {
  const cpu = process.cpuUsage();
  const began = performance.now();
  const rows = run();
  const milliseconds = performance.now() - began;
  const { user, system } = process.cpuUsage(cpu);
  if (rows !== expected) throw new Error(`${rows} rows were read from a log of ${expected}`);
  return { milliseconds, cpuMicros: user + system };
}

/** All in turns, so that what else the machine does falls on each; the first turn warms up. */
function measureAll(
  all: readonly Measured[],
  rows: number,
  rounds: number,
): readonly (Measured & { readonly rounds: readonly Round[] })[] {
  const results = all.map((measured) => ({ ...measured, rounds: [] as Round[] }));
  for (let round = 0; round <= rounds; round++)
    for (const result of results) {
      const measured = measureOnce(result, rows);
      if (round > 0) result.rounds.push(measured);
    }
  return results;
}

interface Recording {
  readonly rows: number;
  readonly rowsPerTransaction: number;
}

async function record(
  stack: Stack,
  { rows, rowsPerTransaction }: Recording,
  signal: AbortSignal,
): Promise<RecordedLog> {
  const url = stack.url('mysql-primary');
  const database = `bench_${randomBytes(3).toString('hex')}`;
  const gtidSet = await withMySql(url, async (connection) => {
    const [[row]] = (await connection.query('SELECT @@GLOBAL.gtid_executed AS executed')) as unknown as [
      [{ executed: string }],
    ];
    return row.executed.replace(/\s/g, '');
  });
  await createTable(url, database);
  await writeBacklog(url, database, { rows, rowsPerTransaction }, signal);
  let seen = 0;
  try {
    return await RecordedLog.record({
      connection: connectionOptionsFromUrl(url),
      gtidSet,
      includes: (name) => name === database,
      isLast: (item) => {
        seen += imagesOf(item)?.count ?? 0;
        return item.type === 'end' && seen >= rows;
      },
      signal,
    });
  } finally {
    await withMySql(url, (connection) => connection.query(`DROP DATABASE \`${database}\``));
  }
}

interface DecodeOptions {
  readonly rows: number;
  readonly rowsPerTransaction: readonly number[];
  readonly rounds: number;
}

function readDecodeOptions(args: readonly string[]): DecodeOptions | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rows: { type: 'string', default: '300000' },
      'rows-per-transaction': { type: 'string', default: '500' },
      rounds: { type: 'string', default: '5' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return 'help';
  const count = (name: string, text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < 1)
      throw new TypeError(`${name} must be a whole number from 1 on, not "${text}".`);
    return value;
  };
  return {
    rows: count('--rows', values.rows),
    rowsPerTransaction: values['rows-per-transaction'].split(',').map((text) => count('--rows-per-transaction', text)),
    rounds: count('--rounds', values.rounds),
  };
}

type Print = (result: Readonly<Record<string, unknown>>) => void;

async function measureRecording(
  log: RecordedLog,
  recording: Recording,
  rounds: number,
  print: Print,
  circumstances: object,
): Promise<void> {
  const zongji = await ZongjiDecoder.load();
  const target = Buffer.alloc(TARGET_BYTES);
  const results = measureAll(
    [
      { reader: 'ditto', to: 'values', run: () => decodeToValues(log) },
      { reader: 'ditto', to: 'json', run: () => decodeToJson(log, target) },
      { reader: 'zongji', to: 'values', run: () => zongji.decode(log.events) },
    ],
    recording.rows,
    rounds,
  );
  for (const { reader, to, rounds: measured } of results) {
    const times = measured.map(({ milliseconds }) => milliseconds);
    print({
      bench: 'decode',
      reader,
      to,
      rowsPerSecond: Math.round((recording.rows * 1000) / median(times)),
      bestRowsPerSecond: Math.round((recording.rows * 1000) / Math.min(...times)),
      cpuMicrosPerRow: round(median(measured.map(({ cpuMicros }) => cpuMicros)) / recording.rows, 2),
      ...recording,
      rounds,
      logBytes: log.bytes,
      events: log.events.length,
      ...circumstances,
    });
  }
}

/** Returns the exit code. */
export async function runDecode(
  args: readonly string[],
  { print, say, signal }: { readonly print: Print; readonly say: (line: string) => void; readonly signal: AbortSignal },
): Promise<number> {
  const options = readDecodeOptions(args);
  if (options === 'help') {
    process.stderr.write(DECODE_USAGE);
    return 0;
  }
  const folder = join(findCacheFolder(process.env), 'bench', randomBytes(3).toString('hex'));
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const stack = await startStack({
    folder: join(folder, 'stack'),
    servers: ['mysql-primary'],
    onProgress: say,
    signal,
  });
  try {
    const versions = await readVersions(stack);
    for (const rowsPerTransaction of options.rowsPerTransaction) {
      const recording = { rows: options.rows, rowsPerTransaction };
      say(`Recording ${options.rows} rows in transactions of ${rowsPerTransaction} …`);
      const log = await record(stack, recording, signal);
      say('Decoding …');
      await measureRecording(log, recording, options.rounds, print, { versions, machine: describeMachine() });
    }
    return 0;
  } finally {
    await stack.down();
    rmSync(folder, { recursive: true, force: true });
  }
}
