import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { readProcessStat } from './process-stat.ts';

/** A process as others on its machine can find it, and can't take a later one with its pid for it. */
export interface ProcessIdentity {
  /** The same for two processes only if they see the same pids: machine, boot, namespaces. */
  readonly host: string;
  readonly pid: number;
  readonly startedTicks: number;
}

/** Null where the system does not say it: other than Linux, or a /proc of other namespaces. */
export function identifyThisProcess(): ProcessIdentity | null {
  const stat = readProcessStat(process.pid);
  const host = identifyHost();
  return stat === null || host === null ? null : { host, pid: process.pid, startedTicks: stat.startedTicks };
}

/** Whether it is proven that the process has ended. False says nothing: it may run, or run elsewhere. */
export function hasEnded({ host, pid, startedTicks }: ProcessIdentity): boolean {
  if (host !== identifyHost()) return false;
  if (!isPidInUse(pid)) return true;
  const stat = readProcessStat(pid);
  if (stat === null) return false;
  // a zombie's connections are closed; with threads left it is not over
  return stat.startedTicks !== startedTicks || (stat.state === 'Z' && stat.threads <= 1);
}

function identifyHost(): string | null {
  try {
    if (readlinkSync('/proc/self') !== String(process.pid)) return null;
    const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    return [hostname(), bootId, readlinkSync('/proc/self/ns/pid'), readlinkSync('/proc/self/ns/time')].join(' ');
  } catch {
    return null;
  }
}

/** Asks the kernel: /proc may hide the processes of other users. */
function isPidInUse(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
