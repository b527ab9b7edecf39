import { getEventListeners } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { Gate } from './gate.ts';

describe('Gate', () => {
  it('lets everybody through while open', async () => {
    const gate = new Gate();
    expect(gate.isOpen).toBe(true);
    await gate.pass();
  });

  it('holds waiters until it opens', async () => {
    const gate = new Gate({ open: false });
    const order: string[] = [];
    const { signal } = new AbortController();
    const waiting = Promise.all([
      gate.pass().then(() => order.push('a')),
      gate.pass(signal).then(() => order.push('b')),
    ]);
    await Promise.resolve();
    expect(order).toEqual([]);
    gate.open();
    await waiting;
    expect(order.sort()).toEqual(['a', 'b']);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  it('lets waiters go when it was opened and shut at once', async () => {
    const gate = new Gate({ open: false });
    const waiting = gate.pass();
    gate.open();
    gate.shut();
    await waiting;
    expect(gate.isOpen).toBe(false);
  });

  it('ends waiting with the reason of the signal', async () => {
    const gate = new Gate({ open: false });
    const controller = new AbortController();
    const waiting = gate.pass(controller.signal);
    const reason = new Error('shutdown');
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    await expect(gate.pass(controller.signal)).rejects.toBe(reason);
  });
});
