import type { Deployment } from '../deployment.ts';
import type { ChaosService } from '../plan.ts';
import type { FaultAct } from './fault-act.ts';

/** A service ends, by SIGKILL or in order, and a new process takes its place. */
export class EndedService implements FaultAct {
  readonly #deployment: Deployment;
  readonly #name: ChaosService;
  readonly #how: 'kill' | 'stop';

  constructor(deployment: Deployment, name: ChaosService, how: 'kill' | 'stop') {
    this.#deployment = deployment;
    this.#name = name;
    this.#how = how;
  }

  async apply(): Promise<void> {
    await this.#deployment[this.#how](this.#name);
  }

  calm(): Promise<void> {
    this.#deployment.start(this.#name);
    return Promise.resolve();
  }
}

/** SIGSTOP and SIGCONT: as a process of a machine that stands still. */
export class FrozenService implements FaultAct {
  readonly #deployment: Deployment;
  readonly #name: ChaosService;

  constructor(deployment: Deployment, name: ChaosService) {
    this.#deployment = deployment;
    this.#name = name;
  }

  apply(): Promise<void> {
    this.#deployment.instance(this.#name).signal('SIGSTOP');
    return Promise.resolve();
  }

  calm(): Promise<void> {
    this.#deployment.instance(this.#name).signal('SIGCONT');
    return Promise.resolve();
  }
}

const MOST_JUMP_MS = 3_600_000;

/** The wall clock of one process jumps, up to an hour forward or back, and later back again. */
export class JumpedClock implements FaultAct {
  readonly #deployment: Deployment;
  readonly #name: ChaosService;
  readonly #offsetMs: number;

  constructor(deployment: Deployment, name: ChaosService, dice: number) {
    this.#deployment = deployment;
    this.#name = name;
    this.#offsetMs = Math.round((2 * dice - 1) * MOST_JUMP_MS);
  }

  apply(): Promise<void> {
    this.#deployment.setClock(this.#name, this.#offsetMs);
    return Promise.resolve();
  }

  calm(): Promise<void> {
    this.#deployment.setClock(this.#name, 0);
    return Promise.resolve();
  }
}
