import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { collectGarbageBy } from '#kernel';

/** Garbage that may gather in the old generation, in per cent of what lives there, before it is collected. */
const GROWTH_PERCENT = 60;

/**
 * V8 sizes its heap by the memory of the machine: on a large one a service that streams lets hundreds of megabytes of
 * garbage gather before they are collected, and the buffers of its sockets with them. This bounds the old generation by
 * what is alive, and keeps the young one at the megabyte that it begins with: what streams lives shortly, so collecting
 * it often costs little. See docs/performance.md for what it saves. The first collection, of the kind that also shrinks
 * the young generation again, makes both take effect.
 */
export function limitHeapGrowth(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT}`);
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (options: object) => void;
  setFlagsFromString('--no-expose-gc');
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  setFlagsFromString('--semi-space-growth-factor=1');
  // what a collection finds is free when it ends, not when another thread has come to it
  setFlagsFromString('--no-concurrent-array-buffer-sweeping');
  collectGarbageBy(
    () => collect({ type: 'major', execution: 'sync' }),
    () => collect({ type: 'minor', execution: 'sync' }),
  );
}
