import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { identifyProcess, isAlive, killTree, listTree, signalProcess } from './process-identity.ts';

describe('process identity', () => {
  it('distinguishes a process from a later one with the same pid, which is never signalled', async () => {
    const child = spawn('sleep', ['30']);
    const identity = identifyProcess(child.pid ?? 0);
    if (identity === null) throw new Error('sleep did not start');
    expect(isAlive(identity)).toBe(true);
    for (const other of [
      { ...identity, startedTicks: '1' },
      { ...identity, bootId: 'another' },
    ]) {
      expect(isAlive(other)).toBe(false);
      expect(signalProcess(other, 'SIGKILL')).toBe(false);
      await killTree(other);
    }
    expect(isAlive(identity)).toBe(true);
    await killTree(identity);
    expect(isAlive(identity)).toBe(false);
  });

  it('kills the whole tree, frozen members too', async () => {
    const child = spawn('sh', ['-c', 'sleep 31 & sleep 32 & echo started; wait'], { detached: true });
    await once(child.stdout, 'data');
    const root = identifyProcess(child.pid ?? 0);
    if (root === null) throw new Error('sh did not start');
    const tree = listTree(root);
    expect(tree).toHaveLength(3);
    for (const member of tree) signalProcess(member, 'SIGSTOP');
    await killTree(root);
    expect(tree.filter(isAlive)).toEqual([]);
  });

  it('knows no process for a pid that was never given', () => {
    expect(identifyProcess(2 ** 30)).toBeNull();
  });
});
