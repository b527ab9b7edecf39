import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Garbage that may gather in the old generation, in per cent of what lives there, before it is collected. */
const growthPercent = 150;

/**
 * V8 sizes its heap by the memory of the machine: on a large one a service that streams lets hundreds of megabytes of
 * garbage gather before the first full collection. This bounds it by what is alive instead; see docs/performance.md for
 * what it saves and costs. The first collection makes the bound take effect.
 */
export function limitHeapGrowth(): void {
  setFlagsFromString(`--heap-growing-percent=${growthPercent}`);
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  setFlagsFromString('--no-expose-gc');
  collect();
}
