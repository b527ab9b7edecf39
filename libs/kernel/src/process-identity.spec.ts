import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from '@jest/globals';
import { hasEnded, identifyThisProcess, type ProcessIdentity } from './process-identity.ts';
import { readProcessStat } from './process-stat.ts';

const children: ReturnType<typeof spawn>[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

function requireIdentity(): ProcessIdentity {
  const identity = identifyThisProcess();
  if (identity === null) throw new Error('this machine has no /proc');
  return identity;
}

/** A child that does nothing, as it would identify itself. */
function startChild(
  command: string,
  ...args: string[]
): { child: ReturnType<typeof spawn>; identity: ProcessIdentity } {
  const child = spawn(command, args);
  children.push(child);
  const pid = child.pid ?? 0;
  return { child, identity: { ...requireIdentity(), pid, startedTicks: readProcessStat(pid)?.startedTicks ?? 0 } };
}

describe('hasEnded', () => {
  it('is false while the process runs, also while it is frozen, and true when it was killed', async () => {
    const { child, identity } = startChild('sleep', '30');
    expect(hasEnded(identity)).toBe(false);
    child.kill('SIGSTOP');
    expect(hasEnded(identity)).toBe(false);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(hasEnded(identity)).toBe(true);
  });

  it('is true when a later process has its pid', () => {
    const { identity } = startChild('sleep', '30');
    expect(hasEnded({ ...identity, startedTicks: identity.startedTicks - 1 })).toBe(true);
  });

  it('is true of a zombie', async () => {
    // the shell becomes a program that never waits for the child which it has started before
    const { child } = startChild('sh', '-c', 'sleep 31 & echo $!; exec sleep 30');
    if (child.stdout === null) throw new Error('no output');
    const [output] = (await once(child.stdout, 'data')) as [Buffer];
    const pid = Number(output.toString());
    const identity = { ...requireIdentity(), pid, startedTicks: readProcessStat(pid)?.startedTicks ?? 0 };
    expect(hasEnded(identity)).toBe(false);
    // the shell itself would wait for it
    while (readFileSync(`/proc/${String(child.pid)}/comm`, 'latin1') !== 'sleep\n')
      await new Promise((resolve) => setImmediate(resolve));
    process.kill(pid, 'SIGKILL');
    while (readProcessStat(pid)?.state !== 'Z') await new Promise((resolve) => setImmediate(resolve));
    expect(hasEnded(identity)).toBe(true);
  });

  it.each([
    ['of another machine', (host: string) => `other${host}`],
    ['of another boot', (host: string) => host.replace(/[0-9a-f]{8}-/, '00000000-')],
    ['in another pid namespace', (host: string) => host.replace(/pid:\[\d+\]/, 'pid:[1]')],
    ['in another time namespace', (host: string) => host.replace(/time:\[\d+\]/, 'time:[1]')],
  ])('is false of a process %s, whose pid means nothing here', async (_what, change) => {
    const { child, identity } = startChild('sleep', '30');
    child.kill('SIGKILL');
    await once(child, 'exit');
    const host = change(identity.host);
    expect(host).not.toBe(identity.host);
    expect(hasEnded({ ...identity, host })).toBe(false);
  });
});
