import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { uptime } from 'node:os';
import { BootClock } from './boot-clock.ts';

/** The clocks of a machine that can be suspended. */
class Machine {
  monotonicMs = 5000;
  uptimeMs = 905_000;
  wallMs = 1_795_000_000_000;
  asked = 0;

  pass(ms: number): void {
    this.suspend(ms);
    this.monotonicMs += ms;
  }

  suspend(ms: number): void {
    this.uptimeMs += ms;
    this.wallMs += ms;
  }

  clock(): BootClock {
    return new BootClock({
      monotonicMs: () => this.monotonicMs,
      uptimeMs: () => {
        this.asked++;
        return Math.floor(this.uptimeMs / 10) * 10;
      },
      wallMs: () => this.wallMs,
    });
  }
}

describe('BootClock', () => {
  it('I5: also counts the time in which the machine was suspended, from the first look after it', () => {
    const machine = new Machine();
    const clock = machine.clock();
    const beganMs = clock.nowMs();
    machine.pass(300);
    machine.suspend(20_000);
    expect(clock.nowMs() - beganMs).toBeGreaterThanOrEqual(20_290);
    machine.pass(100);
    machine.suspend(5000);
    expect(clock.nowMs() - beganMs).toBeGreaterThanOrEqual(25_380);
    expect(clock.nowMs() - beganMs).toBeLessThanOrEqual(25_410);
  });

  it('learns it within a second where the wall clock was set back by as much', () => {
    const machine = new Machine();
    const clock = machine.clock();
    const beganMs = clock.nowMs();
    machine.suspend(20_000);
    machine.wallMs -= 20_000;
    machine.pass(1000);
    expect(clock.nowMs() - beganMs).toBeGreaterThanOrEqual(20_990);
  });

  it('a process that is held up between two readings has not slept, and later sleep is seen', () => {
    const machine = new Machine();
    let heldUpMs = 0;
    const clock = new BootClock({
      monotonicMs: () => {
        const now = machine.monotonicMs;
        machine.pass(heldUpMs);
        return now;
      },
      uptimeMs: () => machine.uptimeMs,
      wallMs: () => machine.wallMs,
    });
    const beganMs = clock.nowMs();
    machine.pass(1000);
    heldUpMs = 8000;
    clock.nowMs();
    heldUpMs = 0;
    expect(clock.nowMs() - beganMs).toBe(17_000);
    machine.suspend(5000);
    expect(clock.nowMs() - beganMs).toBe(22_000);
  });

  it('takes no notice of a wall clock that is set, and never jumps back', () => {
    const machine = new Machine();
    const clock = machine.clock();
    const beganMs = clock.nowMs();
    machine.wallMs += 86_400_000;
    expect(clock.nowMs()).toBe(beganMs);
    machine.wallMs -= 172_800_000;
    machine.pass(1);
    expect(clock.nowMs()).toBe(beganMs + 1);
  });

  it('asks the system once a second while nothing happens', () => {
    const machine = new Machine();
    const clock = machine.clock();
    for (let i = 0; i < 5000; i++) {
      clock.nowMs();
      machine.pass(1);
    }
    expect(machine.asked).toBeLessThanOrEqual(7);
  });

  it('what Node calls uptime runs while the machine is suspended: it is that of the kernel, from /proc/uptime', () => {
    const kernelMs = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1000;
    expect(Math.abs(uptime() * 1000 - kernelMs)).toBeLessThan(500);
    expect(Math.abs(new BootClock().nowMs() - performance.now())).toBeLessThan(500);
  });
});
