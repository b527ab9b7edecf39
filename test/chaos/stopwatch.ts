import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

/** Above this, the machine had no time for this process, which is the network of all others. */
const MOST_HELD_UP_MS = 300;
/** Of the time, during which some process waited for a processor. */
const MOST_PRESSURE = 0.8;

export interface Timing {
  readonly tookMs: number;
  /** Why the time says nothing; null when it can be judged. */
  readonly doubt: string | null;
}

/** Takes a time, and says whether the machine was overloaded meanwhile. */
export class Stopwatch {
  readonly #beganMs = performance.now();
  readonly #pressureMs = readPressureMs();
  readonly #delay = monitorEventLoopDelay({ resolution: 10 });

  constructor() {
    this.#delay.enable();
  }

  read(): Timing {
    const tookMs = performance.now() - this.#beganMs;
    const pressure = (readPressureMs() - this.#pressureMs) / tookMs;
    return { tookMs, doubt: describeOverload(this.#delay.max / 1e6, pressure) };
  }
}

export function describeOverload(heldUpMs: number, pressure: number): string | null {
  return heldUpMs > MOST_HELD_UP_MS || pressure > MOST_PRESSURE ? 'the machine had no time' : null;
}

/** How long some process has waited for a processor since the start of the machine; 0 where the kernel does not say it. */
function readPressureMs(): number {
  try {
    return Number(/some .*total=(\d+)/.exec(readFileSync('/proc/pressure/cpu', 'utf8'))?.[1] ?? 0) / 1000;
  } catch {
    return 0; // a kernel without pressure stall information
  }
}
