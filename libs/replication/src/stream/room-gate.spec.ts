import { describe, expect, it } from '@jest/globals';
import { silentLogger, Waits } from '#kernel';
import { RoomGate } from './room-gate.ts';

const waits = new Waits({ limitMs: 60_000, logger: silentLogger, nowMs: Date.now });

/** A gate with what the sinks and reads hold, and what was let in. */
class Room {
  held = 0;
  readonly reads: number[] = [];
  readonly gate = new RoomGate({
    maxBytes: 100,
    heldBytes: () => this.held,
    readBytes: () => this.reads.reduce((sum, bytes) => sum + bytes, 0),
    waits,
  });

  enter(bytes: number, signal = new AbortController().signal): Promise<unknown> {
    return this.gate.enter(bytes, () => this.reads.push(bytes), signal);
  }

  /** Some turns after something was released. */
  async change(): Promise<void> {
    this.gate.changed();
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('RoomGate', () => {
  it('I9: lets reads in while their bounds, what was read and what the sinks hold are within the bound', async () => {
    const room = new Room();
    room.held = 20;
    await room.enter(40);
    await room.enter(40);
    const third = room.enter(40);
    await room.change();
    expect(room.reads).toEqual([40, 40]);
    // the first one read less than it might have
    room.reads[0] = 10;
    await room.change();
    expect(room.reads).toEqual([10, 40]);
    room.held = 10;
    await room.change();
    await third;
    expect(room.reads).toEqual([10, 40, 40]);
  });

  it('I9: lets a read that is larger than the bound in alone, and in its turn', async () => {
    const room = new Room();
    await room.enter(30);
    const large = room.enter(1000);
    const small = room.enter(10);
    await room.change();
    expect(room.reads).toEqual([30]);
    room.reads.length = 0;
    room.held = 101;
    await room.change();
    expect(room.reads).toEqual([]);
    room.held = 100;
    await room.change();
    await large;
    expect(room.reads).toEqual([1000]);
    room.reads.length = 0;
    await room.change();
    await small;
    expect(room.reads).toEqual([10]);
  });

  it('never lets two in at once where there is room for one', async () => {
    const room = new Room();
    room.held = 101;
    const entries = [room.enter(60), room.enter(60), room.enter(60)];
    room.held = 0;
    for (let count = 1; count <= 3; count++) {
      await room.change();
      expect(room.reads).toEqual([60]);
      room.reads.length = 0;
    }
    await Promise.all(entries);
  });

  it('the stream waits for the sinks alone: rows that were read wait for the stream', async () => {
    const room = new Room();
    await room.enter(1000);
    const { signal } = new AbortController();
    await room.gate.wait(signal);
    room.held = 101;
    let isLetIn = false;
    const wait = room.gate.wait(signal).then(() => (isLetIn = true));
    await room.change();
    expect(isLetIn).toBe(false);
    room.held = 100;
    await room.change();
    await wait;
  });

  it('lets the next one in when the one before it gives up, and rejects with the reason', async () => {
    const room = new Room();
    await room.enter(50);
    const abort = new AbortController();
    const large = room.enter(1000, abort.signal);
    const small = room.enter(50);
    abort.abort(new Error('enough'));
    await expect(large).rejects.toThrow('enough');
    await room.change();
    await small;
    expect(room.reads).toEqual([50, 50]);
    await expect(room.enter(1, abort.signal)).rejects.toThrow('enough');
  });

  it('rejects with what `begin` throws, at once and after a wait', async () => {
    const room = new Room();
    const fail = (): never => {
      throw new Error('no number left');
    };
    const { signal } = new AbortController();
    await expect(room.gate.enter(1, fail, signal)).rejects.toThrow('no number left');
    room.held = 101;
    const later = room.gate.enter(1, fail, signal);
    room.held = 0;
    room.gate.changed();
    await expect(later).rejects.toThrow('no number left');
  });
});
