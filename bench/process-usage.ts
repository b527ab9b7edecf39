import { readFileSync } from 'node:fs';
import { DittoError, readProcessStat } from '#kernel';
import { interpolate, type Sample } from './timeline.ts';

/** Clock ticks per second of what /proc shows; the same on every Linux (USER_HZ, proc(5)). */
const TICKS_PER_SECOND = 100;
const SAMPLE_EVERY_MS = 25;

/** CPU time, user and system, of all threads of a process so far, in microseconds, in steps of 10 ms. Throws when it is gone. */
export function readCpuMicros(pid: number): number {
  const stat = readProcessStat(pid);
  if (stat === null) throw new DittoError('DITTO_BENCH_PROCESS_GONE', `There is no process ${pid}.`);
  return (stat.cpuTicks * 1_000_000) / TICKS_PER_SECOND;
}

/** The most memory that the process ever held at once (VmHWM). */
export function readPeakRssBytes(pid: number): number {
  const line = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
  return Number(line?.[1] ?? 0) * 1024;
}

/** Notes the CPU time of a process several times a second, so that it can be asked for any two moments afterwards. */
export class ProcessUsage {
  readonly #samples: Sample[] = [];
  readonly #timer: NodeJS.Timeout;
  readonly #pid: number;

  constructor(pid: number) {
    this.#pid = pid;
    this.#timer = setInterval(() => this.#take(), SAMPLE_EVERY_MS);
    this.#take();
  }

  /** CPU time spent between two moments, given as milliseconds since 1970. */
  cpuMicrosBetween(fromMs: number, toMs: number): number {
    return interpolate(this.#samples, toMs) - interpolate(this.#samples, fromMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #take(): void {
    try {
      this.#samples.push({ atMs: Date.now(), value: readCpuMicros(this.#pid) });
    } catch {
      this.stop(); // the process is gone; the one who waits for it reports that
    }
  }
}
