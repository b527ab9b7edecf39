import { parseArgs } from 'node:util';

/** The sinks that it can measure. */
const BENCH_SINKS = ['kafka', 'mongo'] as const;

export type BenchSink = (typeof BENCH_SINKS)[number];

/** What of Ditto's configuration a run may change; all of it is in the result. */
export interface DittoSettings {
  readonly partitions: number;
  readonly compression: string;
  readonly client: string;
  /** Null: as DSS does without the option. */
  readonly fencing: 'transactions' | 'none' | null;
  readonly inFlightBytes: string;
  readonly lanes: number;
  readonly chunkRows: number;
}

interface CommonOptions extends DittoSettings {
  readonly sinks: readonly BenchSink[];
  readonly repeat: number;
  /** Folder that gets a CPU profile of DSS; null: none is taken. */
  readonly profile: string | null;
}

export interface DrainOptions extends CommonOptions {
  readonly command: 'drain';
  readonly rows: number;
  readonly rowsPerTransaction: number;
}

export interface LatencyOptions extends CommonOptions {
  readonly command: 'latency';
  readonly rate: number;
  readonly seconds: number;
  readonly rowsPerTransaction: number;
  /** When Kafka is read: as a consumer while rows come, or once all are written, so that reading takes nothing from what is measured. */
  readonly read: 'live' | 'after';
  /** Whether the same load is also measured without Ditto. */
  readonly floor: boolean;
  /** `replicated`: the source has a replica, and waits for it (`switch.dispatchAfter`). */
  readonly dispatchAfter: 'commit' | 'replicated';
}

export interface SnapshotOptions extends CommonOptions {
  readonly command: 'snapshot';
  readonly rows: number;
}

export interface TablesOptions extends CommonOptions {
  readonly command: 'tables';
  readonly tables: number;
}

export interface RestartOptions extends CommonOptions {
  readonly command: 'restart';
  readonly kills: number;
  readonly rate: number;
  readonly rowsPerTransaction: number;
}

export interface VerifyOptions extends CommonOptions {
  readonly command: 'verify';
  readonly rows: number;
  readonly workers: number;
}

export interface IdleOptions extends CommonOptions {
  readonly command: 'idle';
  readonly seconds: number;
}

export type BenchOptions =
  DrainOptions | LatencyOptions | SnapshotOptions | TablesOptions | RestartOptions | VerifyOptions | IdleOptions;

export const USAGE = `usage: npm run --silent bench -- COMMAND [options]
  Measures DSS against servers of its own, or those of DITTO_STACK_*_URL. One JSON line per result on standard output.

  drain      a backlog is there before DSS starts   --rows N (500000) --rows-per-transaction T (500)
  latency    a fixed rate, from commit to arrival   --rate R (1000) --seconds S (30) --rows-per-transaction T (10)
             --read live|after (live): Kafka is read while rows come, or when all are written
             --floor: the same also without Ditto, published by the writer
             --dispatch-after commit|replicated (commit): with a replica that is waited for
  snapshot   the rows are there before the source is seen for the first time   --rows N (1000000)
  tables     the same of many tables of ten rows   --tables N (300)
  restart    DSS is killed and started again under load   --kills K (5) --rate R (1000) --rows-per-transaction T (10)
  verify     DWS verifies a table that is in one sink   --rows N (1000000) --workers W (1) --sinks mongo|kafka (mongo)
  idle       the three services with nothing to do   --seconds S (60)
  decode     the reader alone, on a recorded log, beside zongji, see: npm run --silent bench -- decode --help
  publish    the Kafka publisher alone, see: npm run --silent bench -- publish --help

  --sinks kafka|mongo|kafka,mongo   default: kafka; for latency, restart and idle: kafka,mongo; for verify: mongo
  --repeat K                        as often, each time with fresh servers (1)
  --profile FOLDER                  a CPU profile of DSS; read it with: node bench/profile-summary.ts FILE
  --partitions N (4)  --compression none|gzip|snappy|lz4|zstd (none)  --client platformatic|kafkajs (platformatic)
  --fencing transactions|none (as DSS without the option)
  --in-flight-bytes SIZE (8 MiB)  --lanes N (4)  --chunk-rows N (2000)
`;

const DEFAULT_SINKS: Readonly<Record<string, string>> = {
  latency: 'kafka,mongo',
  restart: 'kafka,mongo',
  idle: 'kafka,mongo',
  verify: 'mongo',
};

/** Throws a `TypeError` whose message is for people. */
export function parseBenchOptions(args: readonly string[]): BenchOptions | 'help' {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      sinks: { type: 'string' },
      rows: { type: 'string' },
      'rows-per-transaction': { type: 'string' },
      rate: { type: 'string', default: '1000' },
      seconds: { type: 'string' },
      tables: { type: 'string', default: '300' },
      kills: { type: 'string', default: '5' },
      workers: { type: 'string', default: '1' },
      repeat: { type: 'string', default: '1' },
      read: { type: 'string', default: 'live' },
      floor: { type: 'boolean', default: false },
      'dispatch-after': { type: 'string', default: 'commit' },
      profile: { type: 'string' },
      partitions: { type: 'string', default: '4' },
      compression: { type: 'string', default: 'none' },
      client: { type: 'string', default: 'platformatic' },
      fencing: { type: 'string' },
      'in-flight-bytes': { type: 'string', default: '8 MiB' },
      lanes: { type: 'string', default: '4' },
      'chunk-rows': { type: 'string', default: '2000' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const [command, ...others] = positionals;
  if (values.help || command === undefined) return 'help';
  if (others.length > 0) throw new TypeError(`"${others.join(' ')}" is not an option.`);
  const common = {
    sinks: readSinks(values.sinks ?? DEFAULT_SINKS[command] ?? 'kafka'),
    repeat: readCount('--repeat', values.repeat),
    profile: values.profile ?? null,
    partitions: readCount('--partitions', values.partitions),
    compression: readChoice('--compression', values.compression, ['none', 'gzip', 'snappy', 'lz4', 'zstd']),
    client: readChoice('--client', values.client, ['platformatic', 'kafkajs']),
    fencing: values.fencing === undefined ? null : readChoice('--fencing', values.fencing, ['transactions', 'none']),
    inFlightBytes: values['in-flight-bytes'],
    lanes: readCount('--lanes', values.lanes),
    chunkRows: readCount('--chunk-rows', values['chunk-rows']),
  };
  const rowsPerTransaction = (otherwise: string): number =>
    readCount('--rows-per-transaction', values['rows-per-transaction'] ?? otherwise);
  switch (command) {
    case 'drain': {
      const rows = readCount('--rows', values.rows ?? '500000');
      return { command, ...common, rows, rowsPerTransaction: rowsPerTransaction('500') };
    }
    case 'latency': {
      const read = readChoice('--read', values.read, ['live', 'after'] as const);
      const [rate, seconds] = [readCount('--rate', values.rate), readCount('--seconds', values.seconds ?? '30')];
      return {
        command,
        ...common,
        rate,
        seconds,
        rowsPerTransaction: rowsPerTransaction('10'),
        read,
        floor: values.floor,
        dispatchAfter: readChoice('--dispatch-after', values['dispatch-after'], ['commit', 'replicated'] as const),
      };
    }
    case 'snapshot':
      return { command, ...common, rows: readCount('--rows', values.rows ?? '1000000') };
    case 'tables':
      return { command, ...common, tables: readCount('--tables', values.tables) };
    case 'restart': {
      if (!common.sinks.includes('kafka'))
        throw new TypeError('restart needs --sinks with kafka: its rows are seen there.');
      const [kills, rate] = [readCount('--kills', values.kills), readCount('--rate', values.rate)];
      return { command, ...common, kills, rate, rowsPerTransaction: rowsPerTransaction('10') };
    }
    case 'verify': {
      if (common.sinks.length !== 1) throw new TypeError('verify needs --sinks with one of kafka and mongo.');
      const rows = readCount('--rows', values.rows ?? '1000000');
      return { command, ...common, rows, workers: readCount('--workers', values.workers) };
    }
    case 'idle':
      return { command, ...common, seconds: readCount('--seconds', values.seconds ?? '60') };
    default:
      throw new TypeError(
        `"${command}" is not one of drain, latency, snapshot, tables, restart, verify, idle, decode and publish.`,
      );
  }
}

function readSinks(text: string): readonly BenchSink[] {
  const names = text.split(',').map((name) => name.trim());
  for (const name of names) readChoice('--sinks', name, BENCH_SINKS);
  return BENCH_SINKS.filter((sink) => names.includes(sink));
}

function readChoice<Choice extends string>(name: string, text: string, choices: readonly Choice[]): Choice {
  const choice = choices.find((one) => one === text);
  if (choice === undefined) throw new TypeError(`${name} must be one of ${choices.join(', ')}, not "${text}".`);
  return choice;
}

function readCount(name: string, text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > 1_000_000_000)
    throw new TypeError(`${name} must be a whole number from 1 to 1000000000, not "${text}".`);
  return value;
}
