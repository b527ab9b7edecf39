import { type Way, ways } from './plan.ts';
import type { Timing } from './stopwatch.ts';

/** What became of a source whose primary was killed, and the time from there to the first row of the next one. */
export interface Switch extends Timing {
  readonly way: Way;
  /** Whether it came without a person. */
  readonly byItself: boolean;
  /** Whether transactions that died with the primary were given up, and what they changed read again. */
  readonly isHealed: boolean;
}

/** From the death of a DSS to the stream of its source by another one. */
export interface Takeover extends Timing {
  readonly source: Way;
  readonly isTaken: boolean;
}

export interface ChaosReport {
  readonly seed: number;
  readonly rounds: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly switches: readonly Switch[];
  readonly takeovers: readonly Takeover[];
  readonly transactions: number;
  readonly compared: Readonly<Record<'rows' | 'messages' | 'repeats' | 'differences' | 'outOfOrder', number>>;
  readonly verified: { readonly runs: number; readonly falseAlarms: number };
  /** The most that a process of each kind took. */
  readonly memoryBytes: Readonly<Record<string, number>>;
  /** From commit to confirmation by the sink, over all faults; upper bounds of a histogram. */
  readonly p99Seconds: Readonly<Record<string, number>>;
  readonly failures: readonly string[];
}

/** From the death of a primary to the first row of a server that is up and has all that was read. */
export const MOST_SWITCH_MS = 5_000;
/** The lease of 6 s, and 2 s. */
export const MOST_TAKEOVER_MS = 8_000;
export const MOST_MEMORY_BYTES = 512 * 1024 * 1024;

/** Those whose time can be judged. */
export function trustworthy<T extends Timing>(timings: readonly T[]): T[] {
  return timings.filter(({ doubt }) => doubt === null);
}

export function renderReport(report: ChaosReport): string[] {
  const { compared, verified, takeovers, failures } = report;
  const faults = Object.values(report.faults).reduce((sum, count) => sum + count, 0);
  return [
    `seed ${report.seed}: ${report.rounds} rounds, ${faults} faults, ${report.transactions} transactions`,
    `faults: ${Object.entries(report.faults)
      .map(([name, count]) => `${count} ${name}`)
      .join(', ')}`,
    ...ways.map((way) => renderSwitches(way, report.switches)),
    `takeover of a dead DSS: ${takeovers.length}${renderSlowest(takeovers)}`,
    `compared at the end: ${compared.rows} rows, ${compared.messages} messages; lost or different ${compared.differences}, out of order ${compared.outOfOrder}, sent more than once ${compared.repeats}`,
    `verification: ${verified.runs} runs, ${verified.falseAlarms} false alarms`,
    `memory: ${Object.entries(report.memoryBytes)
      .map(([name, bytes]) => `${name} ${Math.round(bytes / 1024 / 1024)} MiB`)
      .join(', ')}`,
    `commit to confirmation, p99 over all faults: ${Object.entries(report.p99Seconds)
      .map(([sink, seconds]) => `${sink} below ${seconds} s`)
      .join(', ')}`,
    ...failures.map((failure) => `✗ ${failure}`),
    failures.length === 0 ? '✓ All held.' : `✗ ${failures.length} did not hold.`,
  ];
}

function renderSwitches(way: Way, all: readonly Switch[]): string {
  const own = all.filter((one) => one.way === way);
  if (own.length === 0) return `${way}: no primary was killed`;
  const moved = own.filter(({ byItself }) => byItself);
  const healed = moved.filter(({ isHealed }) => isHealed);
  const proven = moved.filter(({ isHealed }) => !isHealed);
  const share = Math.round((100 * moved.length) / own.length);
  return `${way}: ${own.length} primaries killed, ${moved.length} switches without a person (${share} %), ${healed.length} of them by healing${renderSlowest(proven, ' where nothing was lost')}`;
}

function renderSlowest(timings: readonly Timing[], where = ''): string {
  const judged = trustworthy(timings);
  const slowest =
    judged.length === 0 ? '' : `, ${formatMs(Math.max(...judged.map(({ tookMs }) => tookMs)))} at most${where}`;
  const doubts = [...new Set(timings.map(({ doubt }) => doubt).filter((doubt) => doubt !== null))];
  const left = timings.length - judged.length;
  return slowest + (left === 0 ? '' : `, ${left} not timed: ${doubts.join('; ')}`);
}

function formatMs(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
