import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from '@jest/globals';
import { sourceView, targetView } from './buffer-views.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

test('views are of the bytes that were asked for, and the newest one is kept', () => {
  for (const viewOf of [targetView, sourceView]) {
    const bytes = Buffer.alloc(100).subarray(20, 60);
    const view = viewOf(bytes);
    view.setInt32(4, 1234, true);
    expect([view.byteLength, bytes.readInt32LE(4)]).toEqual([40, 1234]);
    expect(viewOf(bytes)).toBe(view);
    expect(viewOf(Buffer.alloc(8)).byteLength).toBe(8);
  }
});

test('I9: the buffer of a wide row is not held for the sake of its view', async () => {
  for (const viewOf of [targetView, sourceView]) {
    const held = ((): WeakRef<Buffer> => {
      const wide = Buffer.alloc(2 * 1024 * 1024);
      viewOf(wide).setInt8(0, 1);
      expect(wide[0]).toBe(1);
      return new WeakRef(wide);
    })();
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
    expect(held.deref()).toBeUndefined();
  }
});
