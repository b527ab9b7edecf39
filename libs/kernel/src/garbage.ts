/** V8 collects buffers up to this size in time; the batches of rows that are not wide are among them. */
const LEAST_BYTES = 1024 * 1024;
/** So much may lie about. */
const MOST_BYTES = 16 * 1024 * 1024;

let dropped = 0;
let collect: () => void = () => undefined;
let collectNew: () => void = () => undefined;

/** Says how all garbage is collected, and that of the young generation alone; a service does so at its start, elsewhere nothing is. */
export function collectGarbageBy(action: () => void, ofYoung: () => void = () => undefined): void {
  collect = action;
  collectNew = ofYoung;
}

/**
 * Call where much came and hardly anything of it lives on: what survives costs, not what is dead. Without it the collection
 * comes in the middle of the next turn, and copies what that turn needs; buffers of the network wait for it too.
 */
export function collectYoung(): void {
  collectNew();
}

/**
 * Call when buffers or texts of wide rows, `bytes` in all, are of no more use: V8 collects late what lies outside of its
 * heap, and a few such rows are more than all else that lives (I9). Resolves when they are collected, or may wait; the
 * caller must no longer hold them in the next turn of the event loop.
 */
export async function dropWide(bytes: number): Promise<void> {
  if (bytes <= LEAST_BYTES) return;
  dropped += bytes;
  if (dropped < MOST_BYTES) return;
  dropped = 0;
  await new Promise((resolve) => setImmediate(resolve));
  collect();
}
