import { parseArgs } from 'node:util';

export interface DemoOptions {
  /** Rows of the shop before the writer begins. */
  readonly rows: number;
  /** How long the log is followed after the copy is complete. */
  readonly followSeconds: number;
  /** Transactions per second of the writer. */
  readonly rate: number;
  readonly keep: boolean;
  /** Folder of a run that was kept and is to be ended; null: run the demo. */
  readonly stop: string | null;
}

export const USAGE = `usage: npm run demo -- [options]
  Fills a MySQL, replicates it to Kafka and MongoDB while it changes, and compares every row at the end.
  --rows N             rows of the shop (default 200000, at least 100)
  --follow-seconds N   how long to follow the log after the copy (default 10)
  --rate N             transactions per second of the writer (default 100)
  --keep               leave everything running at the end
  --stop FOLDER        end a run that was kept, and delete its data
`;

/** Throws a `TypeError` whose message is for people. */
export function parseDemoOptions(args: readonly string[]): DemoOptions | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rows: { type: 'string', default: '200000' },
      'follow-seconds': { type: 'string', default: '10' },
      rate: { type: 'string', default: '100' },
      keep: { type: 'boolean', default: false },
      stop: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return 'help';
  return {
    rows: readNumber('--rows', values.rows, 100, 50_000_000),
    followSeconds: readNumber('--follow-seconds', values['follow-seconds'], 0, 86_400),
    rate: readNumber('--rate', values.rate, 1, 100_000),
    keep: values.keep,
    stop: values.stop ?? null,
  };
}

function readNumber(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most)
    throw new TypeError(`${name} must be a whole number from ${least} to ${most}, not "${text}".`);
  return value;
}
