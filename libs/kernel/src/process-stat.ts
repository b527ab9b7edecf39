import { readFileSync } from 'node:fs';

/** What proc(5) says of a process in `/proc/PID/stat`; ticks are hundredths of a second. */
export interface ProcessStat {
  readonly state: string;
  readonly parent: number;
  /** User and system time of all threads. */
  readonly cpuTicks: number;
  readonly threads: number;
  /** After the boot of the machine. */
  readonly startedTicks: number;
}

/** Null when it can't be read: there is no such process, or no /proc. */
export function readProcessStat(pid: number): ProcessStat | null {
  try {
    return parseProcessStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return null;
  }
}

export function parseProcessStat(text: string): ProcessStat {
  // the name of the program is in brackets and may contain blanks and brackets
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const number = (field: number): number => Number(fields[field - 3]);
  return {
    state: fields[0] ?? '',
    parent: number(4),
    cpuTicks: number(14) + number(15),
    threads: number(20),
    startedTicks: number(22),
  };
}
