import { uptime } from 'node:os';

/** Of the two, the time since the system started is given in steps of 10 ms, and read a moment before. */
const NOISE_MS = 50;
/** The system is asked at least so often; in between, whenever the wall clock has moved against the other. */
const ASKED_EVERY_MS = 1000;

export interface BootClockOptions {
  /** Never jumps, but may stand still while the machine is suspended. */
  readonly monotonicMs?: () => number;
  /** Since the machine was started, with the time in which it was suspended. */
  readonly uptimeMs?: () => number;
  readonly wallMs?: () => number;
}

/**
 * Milliseconds of a clock that never jumps back and also runs while the machine is suspended. `performance.now()` and
 * timers stand still then (CLOCK_MONOTONIC of Linux), so what must end at a time would last longer for whoever slept.
 * A virtual machine that its host has paused may have no clock that shows it.
 */
export class BootClock {
  readonly #monotonicMs: () => number;
  readonly #uptimeMs: () => number;
  readonly #wallMs: () => number;
  readonly #aheadAtStart: number;
  #wallAhead: number;
  #askAtMs = 0;
  #suspendedMs = 0;

  constructor(options: BootClockOptions = {}) {
    const { monotonicMs = () => performance.now(), uptimeMs = () => uptime() * 1000, wallMs = Date.now } = options;
    this.#monotonicMs = monotonicMs;
    this.#uptimeMs = uptimeMs;
    this.#wallMs = wallMs;
    const sinceBootMs = uptimeMs();
    const nowMs = monotonicMs();
    this.#aheadAtStart = sinceBootMs - nowMs;
    this.#wallAhead = wallMs() - nowMs;
  }

  nowMs(): number {
    let nowMs = this.#monotonicMs();
    // both are read without a call of the system, so this costs nothing where nothing has happened
    const wallAhead = this.#wallMs() - nowMs;
    if (nowMs >= this.#askAtMs || Math.abs(wallAhead - this.#wallAhead) > NOISE_MS) {
      this.#wallAhead = wallAhead;
      this.#askAtMs = nowMs + ASKED_EVERY_MS;
      // in this order: a process that is held up between the two must not seem to have slept
      const sinceBootMs = this.#uptimeMs();
      nowMs = this.#monotonicMs();
      const suspendedMs = sinceBootMs - nowMs - this.#aheadAtStart;
      if (suspendedMs > this.#suspendedMs + NOISE_MS) this.#suspendedMs = suspendedMs;
    }
    return nowMs + this.#suspendedMs;
  }
}
