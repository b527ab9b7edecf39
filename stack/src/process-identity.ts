import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { DittoError, readProcessStat } from '#kernel';

/** A process that can't be mistaken for a later one with the same pid: the kernel's start time and the boot are in it. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks after boot, field 22 of proc(5) `/proc/pid/stat`. */
  readonly startedTicks: string;
  readonly bootId: string;
}

function readBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/** Null when no such process lives (a zombie doesn't). */
export function identifyProcess(pid: number): ProcessIdentity | null {
  const stat = readProcessStat(pid);
  if (stat === null || stat.state === 'Z' || stat.state === 'X') return null;
  return { pid, startedTicks: String(stat.startedTicks), bootId: readBootId() };
}

export function isAlive(identity: ProcessIdentity): boolean {
  const now = identifyProcess(identity.pid);
  return now !== null && now.startedTicks === identity.startedTicks && now.bootId === identity.bootId;
}

/** The process and all that descend from it now, parents first; empty when it is gone. */
export function listTree(root: ProcessIdentity): ProcessIdentity[] {
  if (!isAlive(root)) return [];
  const children = new Map<number, number[]>();
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    const parent = readProcessStat(pid)?.parent;
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const tree = [root];
  for (const member of tree)
    for (const pid of children.get(member.pid) ?? []) {
      const identity = identifyProcess(pid);
      if (identity !== null) tree.push(identity);
    }
  return tree;
}

/** False when the process was gone already. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isAlive(identity)) return false;
  try {
    process.kill(identity.pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** Signals the whole tree, parents first, until no unsignalled descendant is left. Returns all that it signalled. */
export function signalTree(root: ProcessIdentity, signal: NodeJS.Signals): ProcessIdentity[] {
  const signalled = new Map<number, ProcessIdentity>();
  // SIGKILL empties the tree of its root at once, so the descendants are listed before.
  let pending = listTree(root);
  while (pending.length > 0) {
    for (const identity of pending) {
      signalProcess(identity, signal);
      signalled.set(identity.pid, identity);
    }
    pending = listTree(root).filter(({ pid }) => !signalled.has(pid));
  }
  return [...signalled.values()];
}

/** Waits until all are gone; throws `DITTO_STACK_STOP_TIMEOUT` when they aren't in time. */
export async function waitForExit(identities: readonly ProcessIdentity[], timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (identities.some(isAlive)) {
    if (performance.now() > deadline)
      throw new DittoError('DITTO_STACK_STOP_TIMEOUT', `Processes still live after ${timeoutMs} ms.`, {
        context: { pids: identities.filter(isAlive).map(({ pid }) => pid) },
      });
    await sleep(10);
  }
}

export async function killTree(root: ProcessIdentity): Promise<void> {
  await waitForExit(signalTree(root, 'SIGKILL'), 20_000);
}
