import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';

export interface ChaosOptions {
  /** No round begins so long after the first; null: as many as `rounds` says. */
  readonly minutes: number | null;
  readonly rounds: number;
  readonly seed: number;
  readonly json: boolean;
  /** Whether servers, services and logs stay where the run failed. */
  readonly keep: boolean;
}

export const USAGE = `usage: npm run chaos -- [options]
  Starts servers and services of its own and lets random faults happen to them under load, round by round. After each
  round everything is compared, by code that shares nothing with the replication.
  --minutes N   begin no round so many minutes after the first (default 10)
  --rounds N    as many rounds, however long they take
  --seed S      the same seed plans the same faults (default: a random one, which is printed)
  --json        the report as one line of JSON
  --keep        leave folder and logs in any case, not only after a failure
`;

/** Throws a `TypeError` whose message is for people. */
export function parseChaosOptions(args: readonly string[]): ChaosOptions | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: 'string', default: '10' },
      rounds: { type: 'string' },
      seed: { type: 'string' },
      json: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return 'help';
  return {
    minutes: values.rounds === undefined ? readNumber('--minutes', values.minutes, 1, 100_000) : null,
    rounds: values.rounds === undefined ? Infinity : readNumber('--rounds', values.rounds, 1, 100_000),
    seed: values.seed === undefined ? randomInt(1e9) : readNumber('--seed', values.seed, 0, 4_294_967_295),
    json: values.json,
    keep: values.keep,
  };
}

function readNumber(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most)
    throw new TypeError(`${name} must be a whole number from ${least} to ${most}, not "${text}".`);
  return value;
}
